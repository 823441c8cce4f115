"""The README is true: its commands run, and its screens are what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from support import repositories
from support.servers import FakeOllama

from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.settings import SCHEMA, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SCREEN = {"HOME": "/home/you", "COLUMNS": "100"}
CI = (ROOT / ".ci" / "run").read_text("utf-8")


def block(kind: str, name: str) -> str:
    """Return the code block after `<!-- kind: name -->`."""
    match = re.search(rf"<!-- {kind}: {name} -->\n```\w*\n(.*?)```\n", README, re.DOTALL)
    assert match, f"the README has no {kind} called {name}"
    return match[1]


def stable(output: str) -> str:
    """Replace what differs between runs and machines: times, versions, the model's words."""
    output = re.sub(r"\d+\.\d+( s| a second)\b", r"N\1", output)
    output = re.sub(r"\b(kernel|audit)\b", "LEVEL", output)
    output = re.sub(r"gemma-3-270m|qwen2\.5-coder-1\.5b-instruct", "MODEL", output)
    output = re.sub(
        r"^( +why +).*?\(MODEL,\s+a\s+guess.*?\)$", r"\1WORDS", output, flags=re.S | re.M
    )
    # Names of models differ in length, and so does where a line ends.
    notice = r"`why` is a guess.*?observed\."
    output = re.sub(notice, lambda match: " ".join(match[0].split()), output, flags=re.S)
    output = re.sub(r"^=+ (StarCoder: .*?) =+$", r"\1", output, flags=re.M)
    output = re.sub(r"^(answer +).*", r"\1WORDS", output, flags=re.M)
    output = re.sub(r"^(runs with|instruction sets) .*", r"\1", output, flags=re.M)
    # The demo model may remark on a line, or not.
    output = re.sub(r"^ +also: .*\n", "", output, flags=re.M)
    return re.sub(r"\d+ tokens in|xllamacpp [\d.]+", "N", output).strip()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache folder, so that the demo model is assembled only once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def demo_project(tmp_path: Path) -> Path:
    shutil.copytree(str(files("pytest_starcoder.cli") / "demo_project"), tmp_path / "demo")
    return tmp_path / "demo"


def run(command: str, folder: Path, cache: Path) -> str:
    """Return the output of a shell command, with this environment's programs first on PATH."""
    environment = {**os.environ, **SCREEN, "XDG_CACHE_HOME": str(cache)}
    del environment["OLLAMA_HOST"]
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    result = subprocess.run(
        command.removeprefix("$ "),
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def section(output: str, end: str) -> str:
    """Return StarCoder's section of pytest's output."""
    match = re.search(rf"^=+ StarCoder: .*?(?=^=+ {end})", output, re.S | re.M)
    assert match, output
    return match[0]


@pytest.mark.slow
def test_explain_screen(demo_project: Path, cache: Path) -> None:
    command, _, screen = block("output", "explain").partition("\n...\n")
    # The screen is that of the coder model, which not every machine has.
    model = "coder" if CODER.is_installed() else "demo"
    output = run(f"STARCODER_MODEL={model} {command.removeprefix('$ ')}", demo_project, cache)
    assert stable(screen) == stable(section(output, "short test summary"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="changes are undone in forks")
def test_broke_screen(demo_project: Path, cache: Path) -> None:
    pricing = demo_project / "pricing.py"
    working = (
        pricing.read_text().replace('"1.08"', "1.08").replace("(len(prices) - 1)", "len(prices)")
    )
    pricing.write_text(working)
    repositories.repository(demo_project, {"README": "A demo.\n"})
    pricing.write_text(
        working.replace("1.08", '1.08, "GBP": 0.85').replace("len(prices)", "(len(prices) - 1)")
    )
    command, _, screen = block("output", "broke").partition("\n...\n")
    output = run(command, demo_project, cache)
    assert stable(screen) == stable(section(output, "short test summary"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="drafts are judged in forks")
def test_generate_screen(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "texts.py").write_text(block("file", "texts"), "utf-8")
    command, _, screen = block("output", "generate").partition("\n...\n")
    output = run(command, tmp_path, cache)
    assert stable(screen) == stable(section(output, "no tests ran"))


@pytest.mark.slow
def test_doctor_screen(demo_project: Path, cache: Path) -> None:
    command, _, screen = block("output", "doctor").partition("\n")
    output = run(command, demo_project, cache)
    output = output.replace(str(demo_project), "/home/you/shop")
    output = output.replace(str(cache), "/home/you/.cache")
    assert stable(screen) == stable(output)


@pytest.mark.slow
def test_ask_screen(demo_project: Path, cache: Path) -> None:
    command, _, screen = block("output", "ask").partition("\n")
    answer, _, signature = run(command, demo_project, cache).partition("\nMachine-generated")
    assert answer.strip()
    assert signature == screen.rstrip("\n").partition("\nMachine-generated")[2] + "\n"


@pytest.mark.slow
def test_review_screen(demo_project: Path, cache: Path) -> None:
    repositories.repository(demo_project, {"README": "A demo.\n"})
    text = (demo_project / "pricing.py").read_text()
    changed = text.replace("return sum(prices) / (len(prices) - 1)", "return prices[len(prices)]")
    assert changed != text
    (demo_project / "logo.png").write_bytes(b"\0")
    repositories.staged(demo_project, {"pricing.py": changed})
    command, _, screen = block("output", "review").partition("\n")
    assert stable(run(command, demo_project, cache)) == stable(screen)


def test_hook_ids() -> None:
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text()
    ids = re.findall(r"(?m)^- id: (\S+)$", manifest)
    assert len(ids) == 3
    assert all(f"- id: {name}" in README for name in ids)
    assert "verbose" not in manifest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "file"),
    [("github-actions", "action.yml"), ("gitlab-ci", "examples/gitlab-review.yml")],
)
def test_ci_file_schema(schema: str, file: str) -> None:
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, f"--builtin-schema=vendor.{schema}", str(ROOT / file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ci_runs_its_commands() -> None:
    assert ".venv/bin/pytest" in block("command", "test")
    assert "starcoder demo" in block("command", "demo")
    assert "readme_command test" in CI
    assert "readme_command demo" in CI


def test_settings_table() -> None:
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    for key, entry in SCHEMA.items():
        default = getattr(Settings(), key)
        if isinstance(default, bool):
            default = "on" if default else "off"
        elif isinstance(default, float):
            default = f"{default:g}"
        cell = f"`{default}`" if default != "" else ""
        rows.append(f"| `{key}` | {cell} | {entry.help} |")
    table = "\n".join(rows)
    assert f"<!-- table: settings -->\n{table}\n" in README, f"\n{table}"


@pytest.mark.slow
def test_fixture_example(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(block("python", "fixture"))
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.slow
def test_hooks_example(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makeconftest(block("python", "hooks"))
    pytester.makepyfile("def test_order():\n    assert 'ACME Corp' == ''")
    result = pytester.runpytest_subprocess("--starcoder-explain")
    result.stdout.fnmatch_lines(["*also      the last query: SELECT 1", "*[[]customer]* []"])
    [prompt] = ollama_double.prompts()
    assert "the last query: SELECT 1" in prompt
    assert "ACME" not in prompt


@pytest.mark.slow
def test_ask_example(
    tmp_path: Path, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [sys.executable, "-c", block("python", "ask")]
    answer = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout == " the divisor is one too small.\n"
    monkeypatch.setenv("STARCODER_BACKEND", "none")
    error = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert error.stdout.startswith("The backend is set to none. Set backend to auto")
