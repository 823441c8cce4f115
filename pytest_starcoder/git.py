"""The questions asked of git; the only home of GitPython."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

BASES = ("@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")
"""The branches that a branch may have left, the likeliest first."""

PATIENCE = 5.0
"""Seconds that one question may take."""

_QUIET = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "blame.ignoreRevsFile=",
    "-c",
    "diff.external=",
)
"""The repository's configuration may name programs, and files that are not there."""

_HUNK = re.compile(r"@@ -[0-9,]+ \+(?P<first>[0-9]+)(?:,(?P<count>[0-9]+))? @@")


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


def _opened(root: Path) -> Any:
    """GitPython's Git for the folder `root`, or None where that is not in a repository or git is not there."""
    if repository(root / "_") is None:
        return None
    try:
        import git
    except ImportError:
        return None
    return git.Git(str(root))


def _unquoted(name: str) -> str:
    """The path in a line `+++ b/path`; git quotes one with control characters."""
    if name.startswith('"') and name.endswith('"'):
        name = name[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape", "replace")
    return name.removeprefix("b/").removesuffix("\t")


def _git_dir(top: Path) -> Path:
    """The `.git` of a repository; in a worktree or submodule that is a file which names the folder."""
    entry = top / ".git"
    if entry.is_file():
        named = entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        return top / named
    return entry


class History:
    """What git tells of the files below `root`; everything is empty where there is no repository, or no git.

    Nothing of the repository's configuration is run, and nothing is written:
    neither its hooks nor its filters, nor the index that `git status` refreshes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._repository = _opened(root)

    def changed(self) -> dict[str, set[int]]:
        """The lines of tracked files that differ from the last commit, by path relative to the root, 1-based."""
        return self._lines("HEAD")

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        """The branch that this one left, and the lines that differ from there; ("", {}) on that branch itself."""
        for branch in BASES:
            base = self._git("merge-base", "HEAD", branch).strip()
            if base:
                head = self._git("rev-parse", "HEAD").strip()
                return ("", {}) if base == head else (branch, self._lines(base))
        return "", {}

    def blamed(self, path: str) -> dict[int, tuple[str, float]]:
        """For each line of a file the commit that wrote it last, abbreviated, and when, in seconds since the epoch.

        Lines that are not committed have none.
        """
        told = self._git("blame", "--no-textconv", "--porcelain", "--", path)
        times: dict[str, float] = {}
        found: dict[int, tuple[str, float]] = {}
        commit, line = "", 0
        for text in told.split("\n"):
            words = text.split(" ")
            if text.startswith("\t"):
                if commit.strip("0"):
                    found[line] = commit[:7], times.get(commit, 0.0)
            elif words[0] == "committer-time":
                times[commit] = float(words[1])
            elif len(words) >= 3 and len(words[0]) >= 40 and words[2].isdigit():
                commit, line = words[0], int(words[2])
        return found

    def _lines(self, since: str) -> dict[str, set[int]]:
        """New line numbers of the differences between `since` and the files as they are."""
        found: dict[str, set[int]] = {}
        lines: set[int] = set()
        told = self._git("diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
                         "--relative", "--src-prefix=a/", "--dst-prefix=b/", since, "--")  # fmt: skip
        for text in told.split("\n"):
            if text.startswith("+++ "):
                lines = found.setdefault(_unquoted(text.removeprefix("+++ ")), set())
            elif match := _HUNK.match(text):
                first, count = int(match["first"]), int(match["count"] or 1)
                lines.update(range(first, first + count) if count else (first, first + 1))
        return found

    def _git(self, *arguments: str) -> str:
        """What git says, empty where it says nothing, fails or takes more than some seconds."""
        if self._repository is None:
            return ""
        import git

        command = ["git", *_QUIET, *arguments]
        environment = {"GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
        try:
            status, told, _ = self._repository.execute(
                command,
                env=environment,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                kill_after_timeout=PATIENCE if sys.platform != "win32" else None,
            )
        except (git.GitCommandNotFound, git.GitCommandError, OSError):
            return ""
        text = told if isinstance(told, str) else told.decode("utf-8", "surrogateescape")
        return text if status == 0 else ""
