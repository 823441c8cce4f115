"""The queue of commits to review in the background: one small file each, in the git directory.

All worktrees of a repository share one queue. git waits for this code in a hook, so it
imports nothing that takes longer than the work itself, such as pathlib or tempfile.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Mapping

from pytest_starcoder.atomic_write import atomic_write

MAX_WAITING = 50
"""Maximum number of waiting commits; older ones are reported as not reviewed."""


class WaitingCommit:
    """A commit, the folder it was made in, and the options of its hook.

    `attempts` counts the reviews that were started, including those that never
    finished; `problem` is why the last finished one has to be repeated.
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
        return commit_hash(self.name)


class CommitQueue:
    """The queue of the repository whose common git directory is `git_folder`."""

    def __init__(self, git_folder: str) -> None:
        self.folder = os.path.join(git_folder, "starcoder", "background")
        self._files = os.path.join(self.folder, "queue")
        self.lock = Lock(os.path.join(self.folder, "lock"))

    def add(self, commit: str, folder: str, options: Mapping[str, str]) -> None:
        """Append a commit, unless it is already waiting. Raises OSError."""
        if commit in self.hashes():
            return
        name = f"{time.time_ns():020d}-{commit}.json"
        self.update(WaitingCommit(name, folder, options))

    def update(self, waiting: WaitingCommit) -> None:
        """Write the entry of a commit atomically. Raises OSError."""
        content = {
            "folder": waiting.folder,
            "options": dict(waiting.options),
            "attempts": waiting.attempts,
            "problem": waiting.problem,
        }
        write_atomically(os.path.join(self._files, waiting.name), json.dumps(content))

    def remove(self, waiting: WaitingCommit) -> None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._files, waiting.name))

    def commits(self) -> list[WaitingCommit]:
        """Return the waiting commits, oldest first."""
        return [self._read(name) for name in list_files(self._files)]

    def hashes(self) -> set[str]:
        """Return the hashes of the commits that are waiting or being reviewed."""
        return {commit_hash(name) for name in list_files(self._files)}

    def _read(self, name: str) -> WaitingCommit:
        """Return an entry; a damaged one has only its hash, which is in the file name."""
        try:
            with open(os.path.join(self._files, name), encoding="utf-8") as file:
                content = json.load(file)
            folder, options = content["folder"], content["options"]
            return WaitingCommit(
                name, folder, options, int(content["attempts"]), content["problem"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return WaitingCommit(name, "", {})


class Lock:
    """A file that one process at a time can hold.

    The system releases it when that process ends, however it ends.
    """

    def __init__(self, path: str, descriptor: int | None = None) -> None:
        self.path = path
        self.descriptor = descriptor

    def take(self) -> bool:
        """Try to take the lock; return whether this process holds it now. Raises OSError."""
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
            # No locks on this file system: two processes may review a commit, but none is lost.
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock; a process that inherited the descriptor still holds it."""
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


def list_files(folder: str) -> list[str]:
    """Return the names of the complete files in a folder, oldest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(".json") and not name.startswith("."))


def commit_hash(name: str) -> str:
    """Return the commit hash in the name of a queue or report file."""
    return name.partition("-")[2].partition(".")[0]


def write_atomically(path: str, text: str) -> None:
    """Write a file atomically, readable only by its owner. Raises OSError."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def shared_folder(git_folder: str) -> str:
    """Return the common git directory of a worktree's repository."""
    try:
        with open(os.path.join(git_folder, "commondir"), encoding="utf-8") as file:
            return os.path.realpath(os.path.join(git_folder, file.read().strip()))
    except OSError:
        return git_folder
