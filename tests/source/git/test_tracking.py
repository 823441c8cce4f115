"""Tracked files in real repositories of every shape."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import git

from pytest_starcoder.source.git.tracking import find_repository, is_tracked


def init(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    return folder


def write(path: Path, text: str = "A=1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def track(path: Path) -> Path:
    write(path)
    git(path.parent, "add", "--force", path.name)
    return path


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return init(tmp_path / "project")


def test_added_file(top: Path) -> None:
    assert is_tracked(track(top / ".env"))


def test_changed_file(top: Path) -> None:
    path = track(top / ".env")
    git(top, "commit", "--quiet", "--message=x")
    path.write_text("B=2\n")
    assert is_tracked(path)


def test_untracked_file(top: Path) -> None:
    assert not is_tracked(write(top / ".env"))


def test_ignored_file(top: Path) -> None:
    write(top / ".gitignore", ".env\n")
    assert not is_tracked(write(top / ".env"))


def test_added_ignored_file(top: Path) -> None:
    write(top / ".gitignore", ".env\n")
    assert is_tracked(track(top / ".env"))


@pytest.mark.parametrize("arguments", [["--skip-worktree"], ["--assume-unchanged"]])
def test_overlooked_file(top: Path, arguments: list[str]) -> None:
    path = track(top / ".env")
    git(top, "update-index", *arguments, ".env")
    assert is_tracked(path)


def test_intent_to_add(top: Path) -> None:
    path = write(top / ".env")
    git(top, "add", "--intent-to-add", ".env")
    assert is_tracked(path)


@pytest.mark.parametrize("name", [".ENV", ".Env"])
def test_file_in_another_case(top: Path, name: str) -> None:
    track(top / name)
    assert is_tracked(write(top / ".env"))


def test_folder_in_another_case(top: Path) -> None:
    track(top / "Sub" / ".env")
    assert is_tracked(write(top / "sub" / ".env"))


@pytest.mark.parametrize(
    "folder", ["sub", "with space", "[a]", "*", ":(top)x", "-x", "café", "a\nb"]
)
def test_odd_folder_names(top: Path, folder: str) -> None:
    track(top / "a" / ".env")
    assert not is_tracked(write(top / folder / ".env"))
    git(top / folder, "add", ".env")
    assert is_tracked(top / folder / ".env")


def test_outside_a_repository(tmp_path: Path) -> None:
    assert find_repository(tmp_path) is None
    assert is_tracked(write(tmp_path / ".env"))


@pytest.mark.parametrize("name", [".hg", ".svn"])
def test_other_version_control(top: Path, name: str) -> None:
    tree = top / "theirs"
    write(tree / name / "requires")
    assert is_tracked(write(tree / "sub" / ".env"))
    assert not is_tracked(write(top / ".env"))


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a tree whose repository only GIT_DIR names; it tracks `.env` and `svc/app.env`."""
    tree = init(tmp_path / "tree")
    track(tree / ".env")
    track(tree / "svc" / "app.env")
    (tree / ".git").rename(tmp_path / "elsewhere.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    return tree


@pytest.mark.parametrize("work_tree", ["", "given"])
@pytest.mark.parametrize("start", [".", "svc"])
def test_repository_in_git_dir(
    split: Path, monkeypatch: pytest.MonkeyPatch, start: str, work_tree: str
) -> None:
    if work_tree:
        monkeypatch.setenv("GIT_WORK_TREE", str(split))
    monkeypatch.chdir(split / start)
    assert is_tracked(split / ".env")
    assert is_tracked(split / "svc" / "app.env")
    assert not is_tracked(write(split / "mine.env"))


def test_bare_repository_in_git_dir(split: Path, tmp_path: Path) -> None:
    git(split, "config", "core.bare", "true")
    assert is_tracked(split / ".env")
    assert not is_tracked(write(split / "mine[1].env"))


@pytest.mark.parametrize(
    "variable", ["GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]
)
def test_misleading_variables(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = track(top / ".env")
    monkeypatch.setenv(variable, str(tmp_path))
    assert is_tracked(path)


def test_link_loop(top: Path) -> None:
    (top / "a").symlink_to("b")
    (top / "b").symlink_to("a")
    assert is_tracked(top / "a")


def test_nested_repository(top: Path) -> None:
    inner = init(top / "inner")
    assert find_repository(inner / "sub") == inner
    assert is_tracked(track(inner / ".env"))


def test_worktree(top: Path, tmp_path: Path) -> None:
    track(top / "x")
    git(top, "commit", "--quiet", "--message=x")
    git(top, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert not is_tracked(write(tmp_path / "tree" / ".env"))
    git(tmp_path / "tree", "add", ".env")
    assert is_tracked(tmp_path / "tree" / ".env")
    assert not is_tracked(write(top / ".env"))


def test_submodule(top: Path, tmp_path: Path) -> None:
    library = init(tmp_path / "library")
    track(library / ".env")
    git(library, "commit", "--quiet", "--message=x")
    git(top, "submodule", "--quiet", "add", str(library), "library")
    assert (top / "library" / ".git").is_file()
    assert is_tracked(top / "library" / ".env")
    assert not is_tracked(write(top / "library" / "other.env"))


def test_link_to_tracked_file(top: Path) -> None:
    track(top / "shared" / "team.env")
    (top / ".env").symlink_to("shared/team.env")
    assert is_tracked(top / ".env")


def test_link_into_another_repository(top: Path, tmp_path: Path) -> None:
    path = track(init(tmp_path / "other") / "team.env")
    (top / ".env").symlink_to(path)
    assert is_tracked(top / ".env")


def test_tracked_link(top: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine.env")
    (top / ".env").symlink_to("../mine.env")
    git(top, "add", ".env")
    assert is_tracked(top / ".env")


def test_link_to_tracked_link(top: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine.env")
    (top / "team.env").symlink_to("../mine.env")
    git(top, "add", "team.env")
    (top / ".env").symlink_to("team.env")
    assert is_tracked(top / ".env")


def test_link_through_linked_folder(top: Path) -> None:
    track(top / "shared" / "team.env")
    (top / "link").symlink_to("shared")
    (top / ".env").symlink_to("link/team.env")
    assert is_tracked(top / ".env")


def test_link_to_untracked_file(top: Path, tmp_path: Path) -> None:
    (top / ".env").symlink_to(write(tmp_path / "mine.env"))
    assert not is_tracked(top / ".env")


# --- what could mislead git ---


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"]
)
def test_variables_of_another_hook(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = track(top / ".env")
    other = init(tmp_path / "other")
    track(other / "x")
    values = {
        "GIT_DIR": ".git",
        "GIT_INDEX_FILE": ".git/index",
        "GIT_WORK_TREE": ".",
        "GIT_PREFIX": "sub/",
    }
    value = values.get(variable, "x")
    monkeypatch.setenv(
        variable, value if variable in ("GIT_PREFIX", "GIT_NAMESPACE") else str(other / value)
    )
    assert is_tracked(path)
    assert not is_tracked(write(top / "x"))


def test_missing_git_dir(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert not is_tracked(write(top / ".env"))


@pytest.mark.parametrize("kind", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_pathspec_variables(top: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv(f"GIT_{kind}_PATHSPECS", "1")
    assert is_tracked(track(top / ".env"))


def test_partial_commit(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = track(top / ".env")
    monkeypatch.setenv(
        "GIT_INDEX_FILE", str(top / ".git" / "next-index-1.lock")
    )  # holds the one file alone
    assert is_tracked(path)


def test_real_commit_hook(top: Path) -> None:
    track(top / ".env")
    track(top / "x")
    question = f"is_tracked(Path({str(top / '.env')!r}))"
    code = (
        "from pathlib import Path; "
        "from pytest_starcoder.source.git.tracking import is_tracked; "
        f"print({question})"
    )
    hook = write(
        top / ".git" / "hooks" / "pre-commit",
        f"#!/bin/sh\n'{sys.executable}' -c \"{code}\" >answer\n",
    )
    hook.chmod(0o755)
    git(top, "commit", "--quiet", "--message=x", "x")
    assert (top / "answer").read_text() == "True\n"


def test_configured_programs(top: Path, tmp_path: Path) -> None:
    path = track(top / ".env")
    marker = tmp_path / "marker"
    script = write(tmp_path / "script", f"#!/bin/sh\ntouch '{marker}'\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "pager.ls-files",
        "alias.ls-files",
        "core.sshCommand",
        "diff.external",
    ):
        git(top, "config", key, str(script))
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        hook = write(top / ".git" / "hooks" / name, script.read_text())
        hook.chmod(0o755)
    marker.unlink(missing_ok=True)
    assert is_tracked(path)
    assert not is_tracked(write(top / "other"))
    assert not marker.exists()
    subprocess.run(
        ["git", "-C", str(top), "ls-files", "--modified"], check=False, capture_output=True
    )
    assert marker.exists()  # the trap would have sprung


def test_index_is_not_written(top: Path) -> None:
    path = track(top / ".env")
    before = (top / ".git" / "index").stat().st_mtime_ns
    os.utime(path, (0, 0))
    assert is_tracked(path)
    assert (top / ".git" / "index").stat().st_mtime_ns == before


# --- where git cannot tell ---


def test_empty_git_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / ".git").mkdir()
    assert is_tracked(write(tmp_path / ".env"))


def test_broken_git_file(tmp_path: Path) -> None:
    write(tmp_path / ".git", "gitdir: /nowhere\n")
    assert is_tracked(write(tmp_path / ".env"))


def test_broken_index(top: Path) -> None:
    (top / ".git" / "index").write_bytes(b"no index")
    assert is_tracked(write(top / ".env"))


@pytest.mark.parametrize("refresh", ["", "quiet"])
def test_without_git(top: Path, tmp_path: Path, refresh: str) -> None:
    write(top / ".env")
    write(tmp_path / "elsewhere" / ".env")
    code = (
        "import sys; from pathlib import Path; "
        "from pytest_starcoder.source.git.tracking import is_tracked; "
        "print([is_tracked(Path(path)) for path in sys.argv[1:]])"
    )
    command = [sys.executable, "-c", code, str(top / ".env"), str(tmp_path / "elsewhere" / ".env")]
    environment = {"PATH": str(tmp_path)} | ({"GIT_PYTHON_REFRESH": refresh} if refresh else {})
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("[True, True]\n", "")
