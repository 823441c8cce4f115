"""Whether git tracks a file, asked of real repositories in every shape that git gives them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_starcoder.source.git.tracking import find_repository, is_tracked


def git(folder: Path, *arguments: str) -> str:
    identity = (
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=ann@example.com",
        "-c",
        "protocol.file.allow=always",
    )
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def new_repository(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    return folder


def written(path: Path, text: str = "A=1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tracked(path: Path) -> Path:
    written(path)
    git(path.parent, "add", "--force", path.name)
    return path


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "project")


def test_a_file_that_was_added_is_tracked(top: Path) -> None:
    assert is_tracked(tracked(top / ".env"))


def test_a_committed_file_is_tracked_whatever_was_changed_since(top: Path) -> None:
    path = tracked(top / ".env")
    git(top, "commit", "--quiet", "--message=x")
    path.write_text("B=2\n")
    assert is_tracked(path)


def test_a_file_that_git_does_not_know_is_not_tracked(top: Path) -> None:
    assert not is_tracked(written(top / ".env"))


def test_an_ignored_file_is_not_tracked(top: Path) -> None:
    written(top / ".gitignore", ".env\n")
    assert not is_tracked(written(top / ".env"))


def test_an_ignored_file_that_was_added_by_force_is_tracked(top: Path) -> None:
    written(top / ".gitignore", ".env\n")
    assert is_tracked(tracked(top / ".env"))


@pytest.mark.parametrize("arguments", [["--skip-worktree"], ["--assume-unchanged"]])
def test_a_tracked_file_that_git_was_told_to_overlook_is_tracked(
    top: Path, arguments: list[str]
) -> None:
    path = tracked(top / ".env")
    git(top, "update-index", *arguments, ".env")
    assert is_tracked(path)


def test_a_file_that_is_only_intended_to_be_added_is_tracked(top: Path) -> None:
    path = written(top / ".env")
    git(top, "add", "--intent-to-add", ".env")
    assert is_tracked(path)


@pytest.mark.parametrize("name", [".ENV", ".Env"])
def test_a_tracked_file_of_another_case_counts_as_this_one(top: Path, name: str) -> None:
    tracked(top / name)
    assert is_tracked(written(top / ".env"))


def test_a_tracked_file_in_a_folder_of_another_case_counts_as_this_one(top: Path) -> None:
    tracked(top / "Sub" / ".env")
    assert is_tracked(written(top / "sub" / ".env"))


@pytest.mark.parametrize(
    "folder", ["sub", "with space", "[a]", "*", ":(top)x", "-x", "café", "a\nb"]
)
def test_a_folder_may_have_any_name(top: Path, folder: str) -> None:
    tracked(top / "a" / ".env")
    assert not is_tracked(written(top / folder / ".env"))
    git(top / folder, "add", ".env")
    assert is_tracked(top / folder / ".env")


def test_outside_of_a_repository_every_file_counts_as_tracked(tmp_path: Path) -> None:
    assert find_repository(tmp_path) is None
    assert is_tracked(written(tmp_path / ".env"))


@pytest.mark.parametrize("name", [".hg", ".svn"])
def test_a_tree_of_another_version_control_counts_as_tracked(top: Path, name: str) -> None:
    tree = top / "theirs"
    written(tree / name / "requires")
    assert is_tracked(written(tree / "sub" / ".env"))
    assert not is_tracked(written(top / ".env"))


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a tree whose repository is known only from GIT_DIR; tracks `.env` and `svc/app.env`."""
    tree = new_repository(tmp_path / "tree")
    tracked(tree / ".env")
    tracked(tree / "svc" / "app.env")
    (tree / ".git").rename(tmp_path / "elsewhere.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    return tree


@pytest.mark.parametrize("work_tree", ["", "given"])
@pytest.mark.parametrize("start", [".", "svc"])
def test_a_repository_that_lies_elsewhere_answers(
    split: Path, monkeypatch: pytest.MonkeyPatch, start: str, work_tree: str
) -> None:
    if work_tree:
        monkeypatch.setenv("GIT_WORK_TREE", str(split))
    monkeypatch.chdir(split / start)
    assert is_tracked(split / ".env")
    assert is_tracked(split / "svc" / "app.env")
    assert not is_tracked(written(split / "mine.env"))


def test_a_bare_repository_that_lies_elsewhere_answers(split: Path, tmp_path: Path) -> None:
    git(split, "config", "core.bare", "true")
    assert is_tracked(split / ".env")
    assert not is_tracked(written(split / "mine[1].env"))


@pytest.mark.parametrize(
    "variable", ["GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]
)
def test_no_variable_makes_a_tracked_file_ones_own(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = tracked(top / ".env")
    monkeypatch.setenv(variable, str(tmp_path))
    assert is_tracked(path)


def test_a_circle_of_links_counts_as_tracked(top: Path) -> None:
    (top / "a").symlink_to("b")
    (top / "b").symlink_to("a")
    assert is_tracked(top / "a")


def test_the_nearest_repository_answers(top: Path) -> None:
    inner = new_repository(top / "inner")
    assert find_repository(inner / "sub") == inner
    assert is_tracked(tracked(inner / ".env"))


def test_a_worktree_answers_by_its_own_index(top: Path, tmp_path: Path) -> None:
    tracked(top / "x")
    git(top, "commit", "--quiet", "--message=x")
    git(top, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert not is_tracked(written(tmp_path / "tree" / ".env"))
    git(tmp_path / "tree", "add", ".env")
    assert is_tracked(tmp_path / "tree" / ".env")
    assert not is_tracked(written(top / ".env"))


def test_a_submodule_answers_by_its_own_index(top: Path, tmp_path: Path) -> None:
    library = new_repository(tmp_path / "library")
    tracked(library / ".env")
    git(library, "commit", "--quiet", "--message=x")
    git(top, "submodule", "--quiet", "add", str(library), "library")
    assert (top / "library" / ".git").is_file()
    assert is_tracked(top / "library" / ".env")
    assert not is_tracked(written(top / "library" / "other.env"))


def test_a_link_that_leads_to_a_tracked_file_is_tracked(top: Path) -> None:
    tracked(top / "shared" / "team.env")
    (top / ".env").symlink_to("shared/team.env")
    assert is_tracked(top / ".env")


def test_a_link_into_another_repository_that_tracks_the_file_is_tracked(
    top: Path, tmp_path: Path
) -> None:
    path = tracked(new_repository(tmp_path / "other") / "team.env")
    (top / ".env").symlink_to(path)
    assert is_tracked(top / ".env")


def test_a_tracked_link_is_tracked_wherever_it_leads(top: Path, tmp_path: Path) -> None:
    written(tmp_path / "mine.env")
    (top / ".env").symlink_to("../mine.env")
    git(top, "add", ".env")
    assert is_tracked(top / ".env")


def test_a_link_over_a_tracked_link_is_tracked(top: Path, tmp_path: Path) -> None:
    written(tmp_path / "mine.env")
    (top / "team.env").symlink_to("../mine.env")
    git(top, "add", "team.env")
    (top / ".env").symlink_to("team.env")
    assert is_tracked(top / ".env")


def test_a_link_through_a_linked_folder_to_a_tracked_file_is_tracked(top: Path) -> None:
    tracked(top / "shared" / "team.env")
    (top / "link").symlink_to("shared")
    (top / ".env").symlink_to("link/team.env")
    assert is_tracked(top / ".env")


def test_a_link_to_a_file_of_ones_own_is_not_tracked(top: Path, tmp_path: Path) -> None:
    (top / ".env").symlink_to(written(tmp_path / "mine.env"))
    assert not is_tracked(top / ".env")


# --- what would fool a naive question ------------------------------------------------------


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"]
)
def test_the_variables_of_a_hook_of_another_repository_do_not_fool_it(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = tracked(top / ".env")
    other = new_repository(tmp_path / "other")
    tracked(other / "x")
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
    assert not is_tracked(written(top / "x"))


def test_a_git_dir_that_leads_nowhere_does_not_fool_it(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert not is_tracked(written(top / ".env"))


@pytest.mark.parametrize("kind", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_the_users_way_of_writing_paths_does_not_fool_it(
    top: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(f"GIT_{kind}_PATHSPECS", "1")
    assert is_tracked(tracked(top / ".env"))


def test_in_a_commit_of_one_file_the_answer_is_that_of_the_whole_index(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tracked(top / ".env")
    monkeypatch.setenv(
        "GIT_INDEX_FILE", str(top / ".git" / "next-index-1.lock")
    )  # holds the one file alone
    assert is_tracked(path)


def test_a_real_commit_hook_gets_the_true_answer(top: Path) -> None:
    tracked(top / ".env")
    tracked(top / "x")
    question = f"is_tracked(Path({str(top / '.env')!r}))"
    code = f"from pathlib import Path; from pytest_starcoder.source.git.tracking import is_tracked; print({question})"
    hook = written(
        top / ".git" / "hooks" / "pre-commit",
        f"#!/bin/sh\n'{sys.executable}' -c \"{code}\" >answer\n",
    )
    hook.chmod(0o755)
    git(top, "commit", "--quiet", "--message=x", "x")
    assert (top / "answer").read_text() == "True\n"


def test_no_program_that_the_repository_names_is_run(top: Path, tmp_path: Path) -> None:
    path = tracked(top / ".env")
    ran = tmp_path / "ran"
    script = written(tmp_path / "script", f"#!/bin/sh\ntouch '{ran}'\n")
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
        hook = written(top / ".git" / "hooks" / name, script.read_text())
        hook.chmod(0o755)
    ran.unlink(missing_ok=True)
    assert is_tracked(path)
    assert not is_tracked(written(top / "other"))
    assert not ran.exists()
    subprocess.run(
        ["git", "-C", str(top), "ls-files", "--modified"], check=False, capture_output=True
    )
    assert ran.exists()  # the trap would have sprung


def test_the_index_is_left_as_it_was(top: Path) -> None:
    path = tracked(top / ".env")
    before = (top / ".git" / "index").stat().st_mtime_ns
    os.utime(path, (0, 0))
    assert is_tracked(path)
    assert (top / ".git" / "index").stat().st_mtime_ns == before


# --- where git cannot tell -----------------------------------------------------------------


def test_in_something_that_only_looks_like_a_repository_every_file_counts_as_tracked(
    tmp_path: Path,
) -> None:
    (tmp_path / ".git").mkdir()
    assert is_tracked(written(tmp_path / ".env"))


def test_with_a_git_file_that_leads_nowhere_every_file_counts_as_tracked(tmp_path: Path) -> None:
    written(tmp_path / ".git", "gitdir: /nowhere\n")
    assert is_tracked(written(tmp_path / ".env"))


def test_with_a_broken_index_every_file_counts_as_tracked(top: Path) -> None:
    (top / ".git" / "index").write_bytes(b"no index")
    assert is_tracked(written(top / ".env"))


@pytest.mark.parametrize("refresh", ["", "quiet"])
def test_without_git_every_file_counts_as_tracked(top: Path, tmp_path: Path, refresh: str) -> None:
    written(top / ".env")
    written(tmp_path / "elsewhere" / ".env")
    code = (
        "import sys; from pathlib import Path; from pytest_starcoder.source.git.tracking import is_tracked; "
        "print([is_tracked(Path(path)) for path in sys.argv[1:]])"
    )
    command = [sys.executable, "-c", code, str(top / ".env"), str(tmp_path / "elsewhere" / ".env")]
    environment = {"PATH": str(tmp_path)} | ({"GIT_PYTHON_REFRESH": refresh} if refresh else {})
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert (found.stdout, found.stderr) == ("[True, True]\n", "")
