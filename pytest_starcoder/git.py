"""The questions asked of git; the only home of GitPython."""

from __future__ import annotations

from pathlib import Path


def repository(path: Path) -> Path | None:
    """The nearest folder above `path` that holds a `.git`, or None."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def is_tracked(path: Path) -> bool:
    """Whether git tracks `path`, an absolute path, or anything on the way where that is a symbolic link.

    False outside a repository. True where there is a repository and git cannot
    tell, as where it is not installed: who asks wants to know whether the file
    may be trusted.
    """
    if _in_index(path):
        return True
    if not path.is_symlink():
        return False
    target = path.parent / path.readlink()
    return is_tracked(target.parent.resolve() / target.name)


def _in_index(path: Path) -> bool:
    top = repository(path)
    if top is None:
        return False
    try:
        import git
    except ImportError:  # GitPython raises it where there is no git program
        return True
    git_dir = _git_dir(top)
    command = [
        "git",
        *("-c", "core.fsmonitor=false"),  # it would run a program that the repository's configuration names
        f"--git-dir={git_dir}",
        f"--work-tree={top}",
        # In any case: a file system that ignores it opens a tracked .ENV as .env.
        *("ls-files", "--error-unmatch", "--", f":(top,icase,literal){path.relative_to(top).as_posix()}"),
    ]
    environment = {
        # A hook's names the index of its commit, perhaps of another repository.
        "GIT_INDEX_FILE": str(git_dir / "index"),
        # It would make the words before the path a part of it.
        "GIT_LITERAL_PATHSPECS": "0",
    }
    try:
        status, _, _ = git.Git(str(top)).execute(
            command, env=environment, with_extended_output=True, with_exceptions=False
        )
    except git.GitCommandNotFound:  # GIT_PYTHON_REFRESH keeps the import from raising
        return True
    return status != 1  # 1: not tracked; 128: git cannot tell


def _git_dir(top: Path) -> Path:
    """The `.git` of a repository; in a worktree or submodule that is a file which names the folder."""
    entry = top / ".git"
    if entry.is_file():
        named = entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        return top / named
    return entry
