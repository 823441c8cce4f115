"""The questions asked of git; the only home of GitPython."""

from __future__ import annotations

from pathlib import Path


def repository(path: Path) -> Path | None:
    """The nearest folder above `path` that holds a `.git`, or None."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def is_tracked(path: Path) -> bool:
    """Whether git tracks `path`, an absolute path.

    False outside a repository. True where there is a repository and git cannot
    tell (it is not installed, or it refuses the folder's owner): who asks wants
    to know whether the file may be trusted.
    """
    top = repository(path)
    if top is None:
        return False
    try:
        import git
    except ImportError:  # GitPython raises it where there is no git program
        return True
    # An explicit --git-dir: a hook's GIT_DIR may name another repository.
    command = [
        "git",
        *("-c", "core.fsmonitor=false"),
        f"--git-dir={_git_dir(top)}",
        f"--work-tree={top}",
        # In any case: a file system that ignores it opens a tracked .ENV as .env.
        *("ls-files", "--error-unmatch", "--", f":(top,icase,literal){path.relative_to(top).as_posix()}"),
    ]
    status, _, _ = git.Git(str(top)).execute(command, with_extended_output=True, with_exceptions=False)
    return status != 1  # 1: not tracked; 128: git cannot tell


def _git_dir(top: Path) -> Path:
    """The `.git` of a repository; in a worktree or submodule that is a file which names the folder."""
    entry = top / ".git"
    if entry.is_file():
        named = entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        return top / named
    return entry
