"""Commits of real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.repositories import committed, git, repository

from pytest_starcoder.errors import ConfigError
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


def test_parents(tmp_path: Path) -> None:
    top = repository(tmp_path)
    first = git(top, "rev-parse", "HEAD").strip()
    second = committed(top, {"a.py": "a = 1\n"}, "second")
    opened = Repository(top)
    assert opened.parent(second) == first
    assert opened.parent(first) == git(top, "hash-object", "-t", "tree", os.devnull).strip()
    assert opened.merge_base(first, second) == first
    assert opened.subject(second).endswith(" second")


def test_missing_commit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^There is no commit 'missing' here\. "):
        Repository(repository(tmp_path)).commit("missing")


def test_unrelated_commits(tmp_path: Path) -> None:
    top = repository(tmp_path)
    git(top, "checkout", "--quiet", "--orphan", "other")
    unrelated = committed(top, {}, "unrelated")
    with pytest.raises(ConfigError, match=r"^main and .* have no common commit here\. "):
        Repository(top).merge_base("main", unrelated)


def test_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.source.git.repository.MAX_FILE_BYTES", 6)
    top = repository(tmp_path, {"a.py": "a = 1\n", "empty.py": "", "large.py": "a = 10\n"})
    names = [git(top, "rev-parse", f"HEAD:{path}").strip() for path in ("a.py", "empty.py")]
    large = git(top, "rev-parse", "HEAD:large.py").strip()
    contents = Repository(top).blobs([names[0], "0" * 40, large, names[1], names[0]])
    assert contents == {names[0]: b"a = 1\n", names[1]: b""}
    assert Repository(top).blobs([]) == {}


def test_git_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = repository(tmp_path)
    Repository(top)  # imports GitPython
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"^There is no git on PATH\. "):
        Repository(top)


def test_timeout(tmp_path: Path) -> None:
    top = repository(tmp_path)
    git(top, "config", "alias.wait", "!sleep 30 & sleep 30")
    opened = Repository(top, timeout=0.3)
    result = opened.run("wait")
    assert (result.is_late, result.reason()) == (True, "it took more than 0.3 s")
