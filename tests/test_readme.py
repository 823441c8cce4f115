"""The README is true: its commands are run, and what it shows is what is printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from support import repositories
from support.servers import FakeOllama

from pytest_starcoder.settings import SCHEMA, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SHOWN = {"HOME": "/home/you", "COLUMNS": "100"}


def block(kind: str, name: str) -> str:
    """The code block after `<!-- kind: name -->`."""
    found = re.search(rf"<!-- {kind}: {name} -->\n```\w*\n(.*?)```\n", README, re.DOTALL)
    assert found, f"the README has no {kind} called {name}"
    return found[1]


def told(output: str) -> str:
    """Output without what differs from run to run and machine to machine: times, versions, the model's own words."""
    output = re.sub(r"\d+\.\d+( s| a second)\b", r"N\1", output)
    output = re.sub(r"confined by (kernel|audit)", "confined", output)
    output = re.sub(
        r"(why {7}The test fails because).*?\(gemma-3-270m,\s+a\s+guess.*?\)$",
        r"\1 WORDS",
        output,
        flags=re.S | re.M,
    )
    output = re.sub(r"^(answer +).*", r"\1WORDS", output, flags=re.M)
    output = re.sub(
        r"^ +also: .*\n", "", output, flags=re.M
    )  # what the demo model says of a line, if anything
    return re.sub(r"\d+ tokens in|xllamacpp [\d.]+", "N", output).strip()


@pytest.fixture
def demo_project(tmp_path: Path) -> Path:
    shutil.copytree(str(files("pytest_starcoder.cli") / "demo_project"), tmp_path / "demo")
    return tmp_path / "demo"


def run(command: str, folder: Path, cache: Path) -> str:
    """What a shell command prints in `folder`, with this environment's programs first on PATH."""
    environment = {
        **os.environ,
        **SHOWN,
        "XDG_CACHE_HOME": str(cache),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    del environment["OLLAMA_HOST"]
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_screen_it_opens_with_is_what_the_demo_project_prints(
    demo_project: Path, tmp_path: Path
) -> None:
    command, _, shown = block("output", "explain").partition("\n...\n")
    printed = run(f"STARCODER_MODEL=demo {command.removeprefix('$ ')}", demo_project, tmp_path)
    section = re.search(r"^=+ StarCoder: .*?(?=^=+ short test summary)", printed, re.S | re.M)
    assert section, printed
    assert told(shown) == told(section[0])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="drafts are judged in forks")
def test_tests_are_generated_as_it_shows(tmp_path: Path) -> None:
    (tmp_path / "texts.py").write_text(block("file", "texts"), "utf-8")
    command, _, shown = block("output", "generate").partition("\n...\n")
    printed = run(command.removeprefix("$ "), tmp_path, tmp_path)
    section = re.search(r"^=+ StarCoder: .*?(?=^=+ no tests ran)", printed, re.S | re.M)
    assert section, printed
    assert told(shown) == told(section[0])


@pytest.mark.slow
def test_the_doctor_says_what_it_shows(demo_project: Path, tmp_path: Path) -> None:
    command, _, shown = block("output", "doctor").partition("\n")
    printed = run(command.removeprefix("$ "), demo_project, tmp_path)
    printed = printed.replace(str(demo_project), "/home/you/shop").replace(
        str(tmp_path), "/home/you/.cache"
    )
    assert told(shown) == told(printed)


@pytest.mark.slow
def test_code_is_explained_as_it_shows(demo_project: Path, tmp_path: Path) -> None:
    command, _, shown = block("output", "ask").partition("\n")
    printed = run(command.removeprefix("$ "), demo_project, tmp_path)
    words, _, signed = printed.partition("\nMachine-generated")
    assert words.strip()
    assert signed == shown.rstrip("\n").partition("\nMachine-generated")[2] + "\n"


@pytest.mark.slow
def test_its_first_command_works_where_there_is_only_python(tmp_path: Path) -> None:
    for name in ("pytest_starcoder", "hooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "LANG"))
    }
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(
        sys.executable if sys.prefix == sys.base_prefix else Path(sys.executable).resolve()
    )
    environment |= {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    started = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", block("command", "demo")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seen      mean([1, 2, 3]) returned 3.0, the test expects 2" in done.stdout
    assert "3 failed, 1 passed" in done.stdout
    assert time.monotonic() - started < 600, (
        "the figure is the benchmark's; this only bounds the test"
    )


@pytest.mark.slow
def test_the_review_it_shows_is_what_is_printed(demo_project: Path, tmp_path: Path) -> None:
    repositories.repository(demo_project, {"README": "A demo.\n"})
    text = (demo_project / "pricing.py").read_text()
    changed = text.replace("return sum(prices) / (len(prices) - 1)", "return prices[len(prices)]")
    assert changed != text
    (demo_project / "logo.png").write_bytes(b"\0")
    repositories.staged(demo_project, {"pricing.py": changed})
    command, _, shown = block("output", "review").partition("\n")
    printed = run(command.removeprefix("$ "), demo_project, tmp_path)
    assert told(printed) == told(shown)


def test_its_hooks_are_those_of_the_manifest() -> None:
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
def test_what_ci_services_read_follows_their_schema(schema: str, file: str) -> None:
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    done = subprocess.run(
        [program, f"--builtin-schema=vendor.{schema}", str(ROOT / file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_its_test_command() -> None:
    assert ".venv/bin/pytest" in block("command", "test")
    assert "<!-- command: test -->" in (ROOT / ".ci" / "run").read_text()


def test_the_table_of_settings_is_the_schema() -> None:
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    for key, entry in SCHEMA.items():
        default = getattr(Settings(), key)
        default = ("off", "on")[default] if isinstance(default, bool) else default
        shown = (
            f"`{default:g}`"
            if isinstance(default, float)
            else f"`{default}`"
            if default != ""
            else ""
        )
        rows.append(f"| `{key}` | {shown} | {entry.help} |")
    table = "\n".join(rows)
    assert f"<!-- table: settings -->\n{table}\n" in README, f"\n{table}"


@pytest.mark.slow
def test_its_test_with_the_fixture_passes(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(block("python", "fixture"))
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.slow
def test_its_hooks_are_called(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makeconftest(block("python", "hooks"))
    pytester.makepyfile("def test_order():\n    assert 'ACME Corp' == ''")
    result = pytester.runpytest_subprocess("--starcoder-explain")
    result.stdout.fnmatch_lines(["*also      the last query: SELECT 1", "*[[]customer]* []"])
    [prompt] = ollama_double.prompts()
    assert "the last query: SELECT 1" in prompt
    assert "ACME" not in prompt


@pytest.mark.slow
def test_its_script_prints_an_answer_or_what_to_do(
    tmp_path: Path, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [sys.executable, "-c", block("python", "ask")]
    answered = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answered.stdout == " the divisor is one too small.\n"
    monkeypatch.setenv("STARCODER_BACKEND", "none")
    away = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert away.stdout.startswith("The setting backend is none. Set backend to auto")
