"""The commits that wait for a review in the background: a small file each, under the git directory.

All worktrees of a repository share one queue. A hook waits for what is done
here, so nothing is imported that takes longer than the work itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Mapping

MAX_WAITING = 50
"""Commits that may wait at once; the oldest beyond that are given up."""


class WaitingCommit:
    """A commit, the folder it was made in and the settings of its hook.

    `attempts` counts the reviews that were begun, also those that never ended;
    `problem` is why the last that did end has to be done again.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        options: Mapping[str, str],
        attempts: int = 0,
        problem: str = "",
    ) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        self.attempts = attempts
        self.problem = problem

    @property
    def hash(self) -> str:
        return commit_of(self.name)


class Queue:
    """The queue of the repository whose git directory, shared by its worktrees, is `git_folder`."""

    def __init__(self, git_folder: str) -> None:
        self.folder = os.path.join(git_folder, "starcoder", "background")
        self._files = os.path.join(self.folder, "queue")
        self.lock = Lock(os.path.join(self.folder, "lock"))

    def add(self, commit: str, folder: str, options: Mapping[str, str]) -> None:
        """Put a commit at the end, unless it waits already. Raises OSError."""
        if commit in map(commit_of, names_in(self._files)):
            return
        name = f"{time.time_ns():020d}-{commit}.json"
        self.update(WaitingCommit(name, folder, options))

    def update(self, waiting: WaitingCommit) -> None:
        """Write a commit's entry, whole or not at all. Raises OSError."""
        content = {
            "folder": waiting.folder,
            "options": dict(waiting.options),
            "attempts": waiting.attempts,
            "problem": waiting.problem,
        }
        write_whole(os.path.join(self._files, waiting.name), json.dumps(content))

    def remove(self, waiting: WaitingCommit) -> None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._files, waiting.name))

    def commits(self) -> list[WaitingCommit]:
        """Return the commits that wait, the oldest first."""
        return [self._read(name) for name in names_in(self._files)]

    def hashes(self) -> set[str]:
        """Return the hashes of the commits that wait, or are being reviewed."""
        return set(map(commit_of, names_in(self._files)))

    def _read(self, name: str) -> WaitingCommit:
        """Return an entry; of one that is damaged the commit's hash, which is its name, is left."""
        try:
            with open(os.path.join(self._files, name), encoding="utf-8") as file:
                content = json.load(file)
            folder, options = content["folder"], content["options"]
            return WaitingCommit(name, folder, options, int(content["attempts"]), content["problem"])
        except (OSError, ValueError, KeyError, TypeError):
            return WaitingCommit(name, "", {})


class Lock:
    """A file that one process at a time can hold.

    The system lets it go when that process ends, however it ends.
    """

    def __init__(self, path: str, descriptor: int | None = None) -> None:
        self.path = path
        self.descriptor = descriptor

    def take(self) -> bool:
        """Return whether this process holds the lock now. Raises OSError."""
        if self.descriptor is not None:
            return True
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError as exc:
            if exc.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                os.close(descriptor)
                return False
            # A file system without locks: two processes may then ask the same, and nothing is lost.
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Let the lock go; a process that was started with the descriptor goes on holding it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def names_in(folder: str) -> list[str]:
    """Return the names of the whole files in a folder, the oldest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(".json") and not name.startswith("."))


def commit_of(name: str) -> str:
    """Return the hash in the name of a file of ours."""
    return name.partition("-")[2].partition(".")[0]


def write_whole(path: str, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises OSError."""
    folder, name = os.path.split(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    partial = os.path.join(folder, f".{name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def shared_folder(git_folder: str) -> str:
    """Return the git directory that a worktree shares with the others of its repository."""
    try:
        with open(os.path.join(git_folder, "commondir"), encoding="utf-8") as file:
            return os.path.realpath(os.path.join(git_folder, file.read().strip()))
    except OSError:
        return git_folder
