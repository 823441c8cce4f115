"""Runs git through GitPython and streams its output, within a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pytest_starcoder.errors import ConfigError, GitFailed
from pytest_starcoder.source.git.command import ENVIRONMENT, OPTIONS

MAX_MESSAGE_BYTES = 65536
"""How much of git's standard error is kept: its end."""

EXIT_TIMEOUT = 5.0
"""Seconds that git may take to end after its output has ended."""


@dataclass(frozen=True)
class GitResult:
    """How a run of git ended; `messages` is what it wrote to standard error."""

    status: int = 0
    output: bytes = b""
    messages: str = ""
    is_late: bool = False

    def text(self) -> str:
        """Return the output as text, without the last line end."""
        return self.output.decode("utf-8", "surrogateescape").removesuffix("\n")

    def reason(self) -> str:
        """Return git's error message as one line."""
        lines = [line.strip() for line in self.messages.splitlines() if line.strip()]
        for prefix in ("fatal:", "error:", ""):
            for line in lines:
                if line.startswith(prefix) and not line.startswith("warning:"):
                    return line
        if self.status < 0:
            with contextlib.suppress(ValueError):
                return f"it was killed ({signal.Signals(-self.status).name})"
        return f"exit status {self.status}"

    def error(self, command: str, hint: str = "") -> GitFailed:
        """Return the error to raise for a failed `git <command>`."""
        if not hint and "dubious ownership" in self.messages:
            fix = self.messages.strip().splitlines()[-1].strip()
            hint = f"If you trust it: {fix}"
        return GitFailed(
            f"git {command} failed: {self.reason().rstrip('.')}.",
            hint or "Run `git status` or `git fsck` for details.",
        )


class GitProcess:
    """A running git: a context manager with `stdin` and `stdout`, and `result` when it has ended.

    A thread reads its standard error, so git never blocks on a full pipe. After `timeout`
    seconds git is killed with everything that it has started. Raises ConfigError if
    git is not installed.
    """

    def __init__(
        self, arguments: list[str], folder: Path, variables: Mapping[str, str], timeout: float
    ) -> None:
        try:
            import git  # late: only reviews need it
        except ImportError as exc:  # GitPython finds no git
            raise _no_git() from exc
        try:
            # Kept, because it ends the process when it is garbage collected.
            self._handle = git.Git(str(folder)).execute(
                ["git", *OPTIONS, *arguments],
                istream=subprocess.PIPE,
                as_process=True,
                env={**ENVIRONMENT, **variables},
                start_new_session=True,  # to kill what git starts along with it
            )
        except git.GitCommandNotFound as exc:  # GIT_PYTHON_REFRESH keeps the import from raising
            raise _no_git() from exc
        assert self._handle.proc
        self._process: subprocess.Popen[bytes] = self._handle.proc
        assert self._process.stdin
        assert self._process.stdout
        self.stdin = self._process.stdin
        self.stdout = self._process.stdout
        self.result = GitResult()
        self._timeout = timeout
        self._is_late = False
        self._messages = b""
        self._reader = threading.Thread(target=self._read_messages, daemon=True)
        self._reader.start()
        self._timer = threading.Timer(timeout, self._end_late)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> GitProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # git ended without reading all of it
            self.stdin.close()
        self.stdout.close()
        try:
            self._process.wait(timeout=EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._timer.cancel()
        self._reader.join(EXIT_TIMEOUT)
        assert self._process.stderr
        self._process.stderr.close()
        messages = self._messages.decode("utf-8", "replace")
        if self._is_late:
            messages = f"it took more than {self._timeout:.3g} s"
        self.result = GitResult(
            self._process.returncode or 0, messages=messages, is_late=self._is_late
        )

    def _end_late(self) -> None:
        self._is_late = True
        self._kill()

    def _kill(self) -> None:
        if os.name != "posix":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read_messages(self) -> None:
        assert self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            while piece := self._process.stderr.read(MAX_MESSAGE_BYTES):
                self._messages = (self._messages + piece)[-MAX_MESSAGE_BYTES:]


def _no_git() -> ConfigError:
    return ConfigError("There is no git on PATH.", "Install it, or fix PATH.")
