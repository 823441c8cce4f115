"""Finds the repository around a file, and whether git tracks the file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pytest_starcoder.source.git.command import run

TIMEOUT = 5.0
"""Seconds that one query may take inside the user's test run."""

OTHER_VERSION_CONTROLS = (".hg", ".svn", ".jj", ".bzr", "_darcs", ".fslckout")
"""Markers of other version control systems, whose trees may be inside a git repository."""

MAX_LINKS = 40
"""Maximum number of symbolic links to follow, as on Linux."""


def find_repository(folder: Path) -> Path | None:
    """Return `folder` or the nearest folder above it that holds a `.git`; None without one."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def is_versioned(path: Path) -> bool:
    """Return whether the file is in the working tree of a git repository."""
    for folder in path.parents:
        if (folder / ".git").exists():
            return True
        if any((folder / name).exists() for name in OTHER_VERSION_CONTROLS):
            return False
    return bool(os.environ.get("GIT_DIR"))


def is_tracked(path: Path) -> bool:
    """Return whether git tracks the absolute `path`, or a file it links to.

    Callers decide whether to trust the file, so the answer is also True if git cannot
    tell: outside any repository (an unpacked archive, another version control system),
    or if git fails.
    """
    if not is_versioned(path):
        return True
    names = [path]
    while names[-1].is_symlink() and len(names) <= MAX_LINKS:
        target = names[-1].parent / names[-1].readlink()
        names.append(target.parent.resolve() / target.name)
    return len(names) > MAX_LINKS or any(_is_in_index(name) for name in names)


def _is_in_index(path: Path) -> bool:
    """Return whether the repository around `path`, or else the one in GIT_DIR, tracks it."""
    top = find_repository(path.parent)
    if top is not None:
        return _tracks(_git_folder(top), top, "literal", path.relative_to(top).as_posix())
    git_folder = os.environ.get("GIT_DIR")
    if not git_folder:
        return False
    # The top of its working tree is uncertain, so any file of that name counts.
    name = re.sub(r"([*?\[\]\\])", r"\\\1", path.name)
    return _tracks(Path.cwd() / git_folder, path.parent, "glob", f"**/{name}")


def _tracks(git_folder: Path, top: Path, magic: str, pattern: str) -> bool:
    """Return whether the index of `git_folder` matches the pathspec; True if git cannot tell."""
    result = run(
        f"--git-dir={git_folder}",
        f"--work-tree={top}",
        # Case is ignored: some file systems open a tracked .ENV as .env.
        *("ls-files", "--error-unmatch", "--", f":(top,icase,{magic}){pattern}"),
        folder=top,
        # In a hook, GIT_INDEX_FILE is that of its commit, perhaps of another repository.
        variables={"GIT_INDEX_FILE": str(git_folder / "index")},
        timeout=TIMEOUT,
    )
    # 1: not tracked; 128: git cannot tell
    return result is None or result[0] != 1


def _git_folder(top: Path) -> Path:
    """Return the git folder of a repository; a worktree or submodule has a file that names it."""
    entry = top / ".git"
    if entry.is_file():
        return top / entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
    return entry
