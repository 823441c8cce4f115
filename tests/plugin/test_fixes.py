"""Fixes from end to end: real runs of pytest, and files that change only when asked for."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from support.screens import section
from support.servers import FakeOllama

from pytest_starcoder.runner.sandbox import available

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fixes are tried in forks")

BARE = ("--starcoder-explain", "--starcoder-backend=none", "-p", "no:cacheprovider")

SHOP = """
def mean(xs):
    return sum(xs) / (len(xs) - 1)

def limited(n, most):
    return n < most
"""

MEAN_TESTS = """
import pytest
from shop import mean

@pytest.mark.parametrize("xs, expected", [([1, 2, 3], 2), ([0, 0, 3, 5], 2), ([1, 2], 1.5)])
def test_mean(xs, expected):
    assert mean(xs) == expected
"""

LIMIT_TEST = """
from shop import limited

def test_limited():
    assert limited(3, 3)
"""


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Search for fixes, unlike all other tests."""
    monkeypatch.delenv("STARCODER_FIX")
    monkeypatch.setenv("COLUMNS", "100")
    return pytester


def state(folder: Path) -> dict[str, str]:
    files = folder.rglob("*.py")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def fix_lines(lines: Sequence[str]) -> list[str]:
    return [line.strip() for line in lines if line.startswith("                 +")]


# --- one run with all reports --------------------------------------------------------------


class Run(NamedTuple):
    folder: Path
    lines: list[str]
    causes: list[dict[str, Any]]
    before: Mapping[str, str]

    def explained(self, nodeid: str) -> dict[str, Any]:
        [cause] = [cause for cause in self.causes if cause["tests"][0].startswith(nodeid)]
        return cause


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a project once, with a cause that has a fix and one that has none."""
    folder = tmp_path_factory.mktemp("fixes")
    files = {
        "shop.py": SHOP,
        "test_mean.py": MEAN_TESTS,
        "test_only.py": "def test_only():\n    assert [1, 2] == [1, 3]\n",
    }
    for name, text in files.items():
        (folder / name).write_text(dedent(text))
    before = state(folder)
    reports = [f"--starcoder-report=o.{suffix}" for suffix in ("json", "md", "sarif")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *BARE, *reports, "--starcoder-apply"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTEST_ADDOPTS": "-p no:hypothesispytest"},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout.partition("StarCoder: ")[2]
    causes = json.loads((folder / "o.json").read_text())["causes"]
    return Run(folder, printed.splitlines(), causes, before)


def test_terminal(run: Run) -> None:
    start = run.lines.index("     fix       checked: 3 failing tests pass")
    assert run.lines[start + 1 : start + 4] == [
        "                 shop.py:3",
        "                 -    return sum(xs) / (len(xs) - 1)",
        "                 +    return sum(xs) / len(xs)",
    ]


def test_checks_are_not_changed(run: Run) -> None:
    assert run.explained("test_only.py")["fixes"] == []


def test_json_report(run: Run) -> None:
    [fix] = run.explained("test_mean.py")["fixes"]
    assert (fix["path"], fix["line"]) == ("shop.py", 3)
    assert fix["after"] == "    return sum(xs) / len(xs)"
    assert (fix["checked"], fix["verdict"]) == (True, "checked: 3 failing tests pass")
    assert len(fix["failing"]) == 3
    assert fix["confinement"] == available()


def test_diff_applies(run: Run) -> None:
    [fix] = run.explained("test_mean.py")["fixes"]
    done = subprocess.run(
        ["git", "apply", "--check", "-"],
        input=fix["diff"],
        cwd=run.folder,
        text=True,
        check=False,
    )
    assert done.returncode == 0


def test_markdown_report(run: Run) -> None:
    assert "```diff\n--- a/shop.py\n+++ b/shop.py\n" in (run.folder / "o.md").read_text()


def test_sarif_report(run: Run) -> None:
    results = json.loads((run.folder / "o.sarif").read_text())["runs"][0]["results"]
    changes = [fix["artifactChanges"][0] for result in results for fix in result.get("fixes", [])]
    [replacement] = changes[0]["replacements"]
    region = replacement["deletedRegion"]
    lines = (run.folder / "shop.py").read_text().split("\n")
    deleted = lines[region["startLine"] - 1 : region["endLine"]]
    assert region["endColumn"] == len(deleted[-1]) + 1
    inserted = replacement["insertedContent"]["text"]
    assert inserted == "\n".join(deleted).replace("(len(xs) - 1)", "len(xs)")


def test_no_file_changes(run: Run) -> None:
    message = "Nothing was written: there is no terminal to ask in. Use --starcoder-apply=yes."
    assert message in run.lines
    assert state(run.folder) == run.before


# --- writing -------------------------------------------------------------------------------


def write_files(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.py").write_text(dedent(text))


@pytest.mark.slow
def test_written_fix(pytester: pytest.Pytester) -> None:
    """Trials have the fixtures and plugins of the user."""
    write_files(
        shop=SHOP,
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def values(tmp_path_factory):
                folder = tmp_path_factory.mktemp("values")
                (folder / "a.txt").write_text("1 2 3")
                return [int(part) for part in (folder / "a.txt").read_text().split()]

            @pytest.fixture(autouse=True)
            def in_own_folder(monkeypatch, tmp_path):
                monkeypatch.chdir(tmp_path)
            """,
        test_shop="""
            from shop import mean

            def test_printed(values, capsys, monkeypatch):
                print(mean(values))
                assert capsys.readouterr().out == "2.0\\n"

            def test_one():
                assert mean([4]) == 4
            """,
    )
    lines = section(pytester.runpytest("--starcoder-apply=yes", "--starcoder-backend=none"))
    assert "+    return sum(xs) / len(xs)" in fix_lines(lines)
    assert Path("shop.py").read_text() == SHOP.replace("(len(xs) - 1)", "len(xs)")
    assert "shop.py:3 was changed. Run the tests again; `git diff` shows the change." in lines
    pytester.runpytest("-q").assert_outcomes(passed=2)


@pytest.mark.slow
def test_answers_on_a_terminal(pytester: pytest.Pytester) -> None:
    write_files(shop=SHOP, test_shop=LIMIT_TEST)
    screen = on_a_terminal(
        ["--starcoder-apply", "--starcoder-write"], {b"[y/N]": "y", b"[1/2/N]": "2"}
    )
    assert "which?    limited(0, 3) returns True, or returns False?" in screen
    assert "Apply this fix to shop.py:6? 1 failing test passes with it. [y/N]" in screen
    assert "Which is right: limited(0, 3) 1. returns True, 2. returns False? [1/2/N]" in screen
    assert Path("shop.py").read_text() == SHOP.replace("n < most", "n <= most")
    answer = "    from shop import limited\n\n    assert limited(0, 3) == False\n"
    expected = f"{LIMIT_TEST}\n\ndef test_limited_1() -> None:\n{answer}"
    assert Path("test_shop.py").read_text() == expected


def on_a_terminal(options: Sequence[str], answers: Mapping[bytes, str]) -> str:
    """Return what a run shows on its own terminal, where its questions are answered."""
    pty = pytest.importorskip("pty")
    pid, screen = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "pytest", *options, "--starcoder-backend=none"]
        os.execve(command[0], command, os.environ)
    shown, open_questions = b"", dict(answers)
    try:
        while piece := os.read(screen, 4096):
            shown += piece
            for question in list(open_questions):
                if question in shown:
                    os.write(screen, f"{open_questions.pop(question)}\n".encode())
    except OSError:  # the terminal is gone with its last process
        pass
    os.waitpid(pid, 0)
    os.close(screen)
    return shown.decode()


# --- interruptions and surroundings --------------------------------------------------------


def wait_for_trials(root: Path) -> None:
    """Wait until the process that tries fixes has been started, and a little longer."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        listed = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True)
        if any(
            "--starcoder-trials=" in line and str(root) in line
            for line in listed.stdout.splitlines()
        ):
            break
        time.sleep(0.1)
    time.sleep(0.3)


@pytest.mark.slow
def test_killed_run_changes_no_file(pytester: pytest.Pytester) -> None:
    write_files(shop=SHOP, test_shop=MEAN_TESTS)
    before = state(pytester.path)
    run = subprocess.Popen([sys.executable, "-m", "pytest", *BARE], stdout=subprocess.DEVNULL)
    wait_for_trials(pytester.path)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert state(pytester.path) == before


@pytest.mark.slow
def test_interrupted_search(pytester: pytest.Pytester) -> None:
    write_files(
        shop="import time\n\ndef f():\n    time.sleep(0.2)\n    return [1, 2, 3, 4]\n",
        test_shop="from shop import f\n\ndef test_f():\n    assert f() == {'far': 'away'}\n",
    )
    command = [sys.executable, "-m", "pytest", *BARE, "--starcoder-fix-timeout=60"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for_trials(pytester.path)
    run.send_signal(signal.SIGINT)
    printed, _ = run.communicate(timeout=20)
    assert "1 failed" in printed
    assert "rerun     pytest test_shop.py::test_f" in printed
    assert run.returncode == 1


@pytest.mark.slow
def test_switched_off_by_a_marker(pytester: pytest.Pytester) -> None:
    mark = "@pytest.mark.starcoder_explain(fix=False)"
    test = (
        f"import pytest\nfrom shop import mean\n\n{mark}\ndef test_mean(): assert mean([1, 2]) == 1"
    )
    write_files(shop=SHOP, test_shop=test)
    lines = section(pytester.runpytest(*BARE))
    assert lines
    assert not [line for line in lines if line.startswith("     fix")]


# --- models --------------------------------------------------------------------------------

LABEL_TESTS = """
from shop import label

def test_few(): assert label(3) == "few"
def test_many(): assert label(7).split() == ["rather", "many"]
"""


@pytest.mark.slow
def test_model_writes_a_line(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    line = 'return "few" if number < 5 else "rather many"'
    ollama_double.answer = lambda prompt: (
        line if "<fim_prefix>" in prompt else " the number is not looked at."
    )
    write_files(shop='def label(number):\n    return "few"\n', test_shop=LABEL_TESTS)
    lines = section(pytester.runpytest("--starcoder-explain", "-p", "no:cacheprovider"))
    assert f"+    {line}" in fix_lines(lines)
    assert " still passes; written by" in " ".join(" ".join(lines).split())
    diff = f'-    return "few"\n+    {line}\n'
    assert f"With this change the test passes:\n```diff\n{diff}```" in ollama_double.prompts()[-1]
