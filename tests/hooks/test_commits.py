"""Ways to commit, with a real git hook: the review sees what the commit changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import DIVIDES, PRICING, committed, git, repository, staged, written

HOOK = f"""#!/bin/sh
exec {sys.executable} -m pytest_starcoder_hooks.review --starcoder-backend=none --advisory \\
    --format=json > "$OUT" 2>/dev/null
"""


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUT", str(tmp_path / "out.json"))
    return tmp_path / "out.json"


@pytest.fixture
def top(tmp_path: Path, out: Path) -> Path:
    folder = repository(tmp_path / "project", {"shop/pricing.py": PRICING, "other.py": "a = 1\n"})
    for name in ("pre-commit", "pre-merge-commit"):
        hook = folder / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK)
        hook.chmod(0o755)
    return folder


WRONG = PRICING.replace("xs[-1]", "xs[len(xs)]")
"""PRICING with a fault in line 10 that a rule finds."""


def reviewed(out: Path) -> tuple[str, int, list[tuple[str, int]]]:
    """Return the description of the change, its number of files, and the places of findings."""
    record = json.loads(out.read_text())
    places = [(finding["path"], finding["line"]) for finding in record["findings"]]
    return record["change"], record["files"], places


PLACES = [("shop/pricing.py", 10)]


def test_plain_commit(top: Path, out: Path) -> None:
    staged(top, {"shop/pricing.py": WRONG})
    written(top, {"other.py": "b = xs[len(xs)]\n"})
    git(top, "commit", "--quiet", "--message=x")
    assert reviewed(out) == ("what is staged", 1, PLACES)


def test_commit_of_one_file(top: Path, out: Path) -> None:
    staged(top, {"other.py": "b = xs[len(xs)]\n"})
    written(top, {"shop/pricing.py": WRONG})
    git(top, "commit", "--quiet", "--message=x", "--", "shop/pricing.py")
    assert reviewed(out) == ("what is staged", 1, PLACES)


def test_amend(top: Path, out: Path) -> None:
    committed(top, {"other.py": "b = xs[len(xs)]\n"}, "x")
    staged(top, {"shop/pricing.py": WRONG})
    git(top, "commit", "--quiet", "--amend", "--no-edit")
    assert reviewed(out) == ("what is staged", 1, PLACES)


def test_worktree(top: Path, out: Path, tmp_path: Path) -> None:
    git(top, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    staged(tmp_path / "tree", {"shop/pricing.py": WRONG})
    git(tmp_path / "tree", "commit", "--quiet", "--message=x")
    assert reviewed(out) == ("what is staged", 1, PLACES)


def branched(top: Path, ours: dict[str, str], theirs: dict[str, str]) -> None:
    git(top, "checkout", "--quiet", "-b", "theirs")
    git(top, "commit", "--quiet", "--allow-empty", "--no-verify", "--message=start")
    written(top, theirs)
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--no-verify", "--message=theirs")
    git(top, "checkout", "--quiet", "main")
    written(top, ours)
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--no-verify", "--message=ours")


def test_merge_without_conflict(top: Path, out: Path) -> None:
    branched(top, {"ours.py": "a = 1\n"}, {"theirs.py": "b = xs[len(xs)]\n"})
    git(top, "merge", "--quiet", "--no-edit", "theirs")
    assert reviewed(out) == ("what the merge itself changes", 1, [])


def test_merge_with_conflict(top: Path, out: Path) -> None:
    branched(
        top,
        {"shop/pricing.py": DIVIDES},
        {"shop/pricing.py": PRICING.replace("max(1, ", "max(2, "), "b.py": "b = xs[len(xs)]\n"},
    )
    with pytest.raises(subprocess.CalledProcessError):
        git(top, "merge", "theirs")
    staged(top, {"shop/pricing.py": DIVIDES.replace("xs[-1]", "xs[len(xs)]")})
    git(top, "commit", "--quiet", "--message=solved")
    assert reviewed(out) == ("what the merge itself changes", 2, PLACES)
