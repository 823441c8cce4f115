"""Commits of real repositories."""

from __future__ import annotations

from pathlib import Path

from support.repositories import committed, git, repository

from pytest_starcoder.source.git.repository import Repository


def test_reachable_commits(tmp_path: Path) -> None:
    top = repository(tmp_path / "project")
    first = git(top, "rev-parse", "HEAD").strip()
    git(top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    detached = committed(tmp_path / "other", {"a.py": "a = 1\n"}, "detached")
    amended = committed(top, {"b.py": "b = 1\n"}, "amended")
    git(top, "commit", "--quiet", "--amend", "--message=again")
    git(top, "tag", "kept", amended)
    thrown_away = committed(top, {"c.py": "c = 1\n"}, "thrown away")
    git(top, "reset", "--quiet", "--hard", "HEAD~1")
    opened = Repository(top)
    for commit, expected in (
        (first, True),
        (detached, True),
        (amended, True),
        (thrown_away, False),
    ):
        assert opened.is_reachable(commit) is expected
    assert not opened.is_reachable("0123456789" * 4)


def test_merged_parents(tmp_path: Path) -> None:
    top = repository(tmp_path)
    git(top, "checkout", "--quiet", "-b", "feature")
    theirs = committed(top, {"a.py": "a = 1\n"}, "theirs")
    git(top, "checkout", "--quiet", "main")
    ours = committed(top, {"b.py": "b = 1\n"}, "ours")
    git(top, "merge", "--quiet", "--no-edit", "feature")
    assert Repository(top).merged_parents("HEAD") == [theirs]
    assert Repository(top).merged_parents(ours) == []
