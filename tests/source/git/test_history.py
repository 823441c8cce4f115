"""Changed lines and blame, read from real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import git

from pytest_starcoder.source.git.history import History


def write(path: Path, text: str = "A=1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def commit_files(folder: Path, **files: str) -> Path:
    """Return a repository with one commit of `files`, whose names are without `.py`."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "README").touch()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def test_changed_lines(tmp_path: Path) -> None:
    root = commit_files(
        tmp_path, edited="a\nb\nc\n", staged="a\nb\n", shorter="a\nb\nc\n", same="a\n"
    )
    (root / "edited.py").write_text("new\na\nB\nc\n")
    (root / "staged.py").write_text("a\nb\nc\n")
    git(root, "add", "staged.py")
    (root / "shorter.py").write_text("a\nc\n")
    assert History(root).changed_lines() == {
        "edited.py": {1, 3},
        "staged.py": {3},
        "shorter.py": {1, 2},
    }


def test_lines_like_diff_headers(tmp_path: Path) -> None:
    root = commit_files(tmp_path, one="a\n-- b/b.py\nc\n", two="a\n")
    (root / "one.py").write_text("a\n++ b/b.py\nc\nd\n")
    (root / "two.py").write_text("a\n++ b/c.py\n@@ -1 +1 @@\n")
    assert History(root).changed_lines() == {"one.py": {2, 4}, "two.py": {2, 3}}


def test_paths_below_the_root(tmp_path: Path) -> None:
    top = commit_files(tmp_path)
    inner = top / "in ner"
    names = ("ü b.py", 'q"uote.py', "x b/y b/z.py")
    (inner / "x b" / "y b").mkdir(parents=True)
    for name in names:
        (inner / name).write_text("a\n")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "second")
    for name in names:
        (inner / name).write_text("b\n")
    assert History(inner).changed_lines() == {name: {1} for name in names}


def test_changes_of_a_branch(tmp_path: Path) -> None:
    root = commit_files(tmp_path, shop="a\nb\n")
    assert History(root).changed_since_base() == ("", {})
    git(root, "checkout", "-qb", "feature")
    (root / "shop.py").write_text("a\nB\n")
    git(root, "commit", "-qam", "second")
    (root / "shop.py").write_text("A\nB\n")
    assert History(root).changed_since_base() == ("main", {"shop.py": {1, 2}})
    assert History(root).changed_lines() == {"shop.py": {1}}


def test_blame(tmp_path: Path) -> None:
    root = commit_files(tmp_path, shop="a\nb\n")
    (root / "shop.py").write_text("a\nB\n")
    blamed = History(root).blame("shop.py")
    assert list(blamed) == [1]
    assert blamed[1][0] == git(root, "rev-parse", "HEAD")[:7]
    assert blamed[1][1] > 1_000_000_000


@pytest.mark.parametrize("make", ["nothing", "empty"])
def test_without_commits(tmp_path: Path, make: str) -> None:
    if make == "empty":
        git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a\n")
    history = History(tmp_path)
    assert (history.changed_lines(), history.changed_since_base(), history.blame("a.py")) == (
        {},
        ("", {}),
        {},
    )


def test_configured_programs(
    tmp_path: Path,
) -> None:
    root = commit_files(tmp_path, shop="a\n")
    trap = root / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {root / 'sprung'}\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text("*.py diff=trap\n")
    for key in (
        "diff.external",
        "core.fsmonitor",
        "diff.trap.textconv",
        "diff.trap.command",
        "core.pager",
    ):
        git(root, "config", key, str(trap))
    (root / "shop.py").write_text("b\n")
    before = {path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()}
    assert History(root).changed_lines() == {"shop.py": {1}}
    History(root).blame("shop.py")
    History(root).changed_since_base()
    assert not (root / "sprung").exists()
    assert {
        path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize("level", ["local", "global"])
@pytest.mark.parametrize("program", ["clean", "process"])
@pytest.mark.parametrize(
    "driver", ["trap", "Trap", "a.b", "x=y"]
)  # `git -c` cannot set the last one
def test_filters_do_not_run(tmp_path: Path, driver: str, program: str, level: str) -> None:
    root = commit_files(tmp_path / "project", shop="a\nb\n")
    marker = tmp_path / "marker"
    trap = write(tmp_path / "trap.sh", f"#!/bin/sh\ntouch '{marker}'\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text(f"*.py filter={driver}\n")
    for key, value in ((program, str(trap)), ("smudge", str(trap)), ("required", "true")):
        git(root, "config", f"--{level}", f"filter.{driver}.{key}", value)
    (root / "shop.py").write_text("a\nB\n")
    history = History(root)
    assert history.changed_lines() == {"shop.py": {2}}
    assert list(history.blame("shop.py")) == [1]
    assert not marker.exists()


def test_filters_run_in_plain_git(tmp_path: Path) -> None:
    root = commit_files(tmp_path / "project", shop="a\nb\n")
    marker = tmp_path / "marker"
    (root / ".gitattributes").write_text("*.py filter=trap\n")
    git(root, "config", "filter.trap.clean", f"touch '{marker}'; cat")
    (root / "shop.py").write_text("a\nB\n")
    git(root, "diff", "HEAD")
    assert marker.exists()


def test_programs_of_a_submodule(tmp_path: Path) -> None:
    library = commit_files(tmp_path / "library", book="a\n")
    root = commit_files(tmp_path / "project", shop="a\n")
    git(root, "submodule", "--quiet", "add", str(library), "library")
    git(root, "commit", "-qm", "second")
    marker = tmp_path / "marker"
    inner = root / "library"
    git(inner, "config", "core.fsmonitor", f"touch '{marker}'; false")
    git(inner, "config", "filter.trap.clean", f"touch '{marker}'; cat")
    (inner / ".gitattributes").write_text("*.py filter=trap\n")
    (inner / "book.py").write_text("b\n")
    (root / "shop.py").write_text("b\n")
    for option in ("diff.submodule=diff", "diff.ignoreSubmodules=none"):
        git(root, "config", *option.split("="))
    marker.unlink(missing_ok=True)
    assert History(root).changed_lines() == {"shop.py": {1}}
    assert not marker.exists()


def test_partial_clone(tmp_path: Path) -> None:
    origin = commit_files(tmp_path / "origin", shop="a\nb\n")
    git(origin, "config", "uploadpack.allowFilter", "true")
    (origin / "shop.py").write_text("a\nc\n")
    git(origin, "commit", "-qam", "second")
    clone = tmp_path / "clone"
    git(
        tmp_path,
        "clone",
        "--quiet",
        "--filter=blob:none",
        "--no-checkout",
        origin.as_uri(),
        str(clone),
    )
    git(clone, "read-tree", "HEAD")
    (clone / "shop.py").write_text("a\nB\n")
    marker = tmp_path / "marker"
    server = write(
        tmp_path / "server.sh", f"#!/bin/sh\ntouch '{marker}'\nexec git-upload-pack \"$@\"\n"
    )
    server.chmod(0o755)
    for key, value in (
        ("remote.origin.uploadpack", str(server)),
        ("protocol.file.allow", "always"),
    ):
        git(clone, "config", key, value)
    history = History(clone)
    assert (history.changed_lines().get("shop.py"), history.blame("shop.py")) == (None, {})
    assert not marker.exists()
    git(clone, "diff", "HEAD")
    assert marker.exists()  # the trap would have sprung


def test_untracked_files(tmp_path: Path) -> None:
    root = commit_files(tmp_path, shop="a\n")
    (root / ".gitignore").write_text("ignored.py\n")
    (root / "ignored.py").write_text("a\n")
    (root / "new.py").write_text("a\nb\n")
    (root / "broken.py").symlink_to("missing")
    assert History(root).changed_lines(untracked=True) == {
        ".gitignore": {1, 2},
        "new.py": {1, 2, 3},
    }
    assert History(root).changed_lines() == {}
