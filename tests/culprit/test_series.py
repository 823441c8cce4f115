"""Whole runs after several commits: the one that broke the tests is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.repositories import committed, git, repository
from support.runs import Run, home_of, run_pytest

pytest.importorskip("fcntl", reason="changes are undone in forks")

pytestmark = pytest.mark.slow

OPTIONS = ("--starcoder-explain", "--starcoder-report=out.json")

SHOP = """\
def total(prices):
    return sum(prices)


def count(prices):
    return len(prices)
"""

TESTS = """\
from shop import count, total


def test_count():
    assert count([1.5]) == 1


def test_total():
    assert total([1.5]) == 1.5


def test_empty():
    assert total([]) == 0
"""

ROUNDED = SHOP.replace("sum(prices)", "round(sum(prices))")


def first_state(folder: Path) -> Path:
    ini = "[pytest]\npythonpath = .\n"
    files = {"shop.py": SHOP, "test_shop.py": TESTS, "pytest.ini": ini, ".gitignore": "out.json\n"}
    return repository(folder, files)


def add_commits(folder: Path) -> None:
    """Commit a fault, another change, and a change of the same line."""
    committed(folder, {"shop.py": ROUNDED}, "Round prices")
    committed(folder, {"shop.py": "import math\n\n\n" + ROUNDED}, "Import math")
    later = ROUNDED.replace("round(sum(prices))", "round(sum(prices), 0)")
    committed(folder, {"shop.py": "import math\n\n\n" + later}, "Keep floats")


def run(folder: Path, *options: str, **variables: str) -> Run:
    return run_pytest(
        folder,
        {},
        [*OPTIONS, *options],
        STARCODER_BACKEND="none",
        STARCODER_UNDO_TIMEOUT="60",
        PYTHONDONTWRITEBYTECODE="1",
        **variables,
    )


def passed_commits(folder: Path) -> dict[str, str]:
    """Return the remembered commits by the name of the test."""
    files = list(home_of(folder).rglob("passed/*.json"))
    if not files:
        return {}
    [file] = files
    commits = json.loads(file.read_text())
    return {nodeid.partition("::")[2]: commit for nodeid, commit in commits.items()}


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD").strip()


def test_since_the_last_pass(tmp_path: Path) -> None:
    folder = first_state(tmp_path / "project")
    first = head(folder)
    assert run(folder, "-n", "2").result.ret == 0
    assert passed_commits(folder) == dict.fromkeys(
        ("test_count", "test_total", "test_empty"), first
    )
    add_commits(folder)
    state = git(folder, "status", "--porcelain", "--branch")
    failing = run(folder, "-x")
    broke = failing.cause("test_total")["broke"]
    assert broke["since"] == f"{first[:7]}, where it last passed"
    [piece] = broke["pieces"]
    assert (piece["path"], piece["line"]) == ("shop.py", 5)
    assert piece["commit"].partition(" ")[2] == "Round prices", "blame names the last change"
    assert "(Round prices)" in failing.text
    assert git(folder, "status", "--porcelain", "--branch") == state
    # Tests that have failed, or that did not run, passed last at the first commit.
    assert passed_commits(folder) == {
        "test_count": head(folder),
        "test_total": first,
        "test_empty": first,
    }


@pytest.mark.parametrize("reason", ["cache is off", "changed code"])
def test_nothing_is_remembered(tmp_path: Path, reason: str) -> None:
    folder = first_state(tmp_path / "project")
    variables = {"STARCODER_CACHE": "off"} if reason == "cache is off" else {}
    if reason == "changed code":
        (folder / "new.py").write_text("")
    assert run(folder, **variables).result.ret == 0
    assert passed_commits(folder) == {}


def test_failing_git_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = first_state(tmp_path / "project")
    add_commits(folder)
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho broken >&2\nexit 128\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    failing = run(folder)
    assert failing.result.ret == 1
    broke = failing.causes[0]["broke"]
    assert (broke["pieces"], broke["note"]) == ([], "")
    assert "git" not in failing.text
    assert failing.result.errlines == []
    assert passed_commits(folder) == {}


def test_push_of_several_commits(tmp_path: Path) -> None:
    folder = first_state(tmp_path / "project")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": head(folder)}))
    add_commits(folder)
    variables = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event), "CI": "true"}
    failing = run(folder, GITHUB_ACTIONS="true", **variables)
    broke = failing.cause("test_total")["broke"]
    assert broke["since"] == "the last push"
    assert [piece["commit"].partition(" ")[2] for piece in broke["pieces"]] == ["Round prices"]
    [annotation] = [line for line in failing.result.outlines if line.startswith("::")]
    assert "(Round prices)" in annotation


@pytest.mark.parametrize("has_other_files", [False, True])
def test_shallow_clone(tmp_path: Path, *, has_other_files: bool) -> None:
    origin = first_state(tmp_path / "origin")
    add_commits(origin)
    folder = tmp_path / "project"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(folder))
    if has_other_files:
        (folder / "log.txt").write_text("text\n")
    failing = run(folder, CI="true")
    assert "fetch-depth: 0" in failing.cause("test_total")["broke"]["note"]
