"""Runs git through GitPython, within a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.errors import ConfigError, GitFailed
from pytest_starcoder.source.git.command import ENVIRONMENT, OPTIONS

EXIT_TIMEOUT = 5.0
"""Seconds to wait for git to end after it was killed."""


@dataclass(frozen=True)
class GitResult:
    """Exit status, output and messages (its standard error) of a run of git."""

    status: int
    output: bytes
    messages: str
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


def run_git(
    arguments: tuple[str, ...],
    folder: Path,
    variables: Mapping[str, str],
    timeout: float,
    standard_input: bytes,
) -> GitResult:
    """Run git in `folder`; after `timeout` seconds kill it with everything that it has started.

    Raises ConfigError if git is not installed.
    """
    try:
        import git  # late: only reviews need it
    except ImportError as exc:  # GitPython finds no git
        raise _no_git() from exc
    try:
        handle = git.Git(str(folder)).execute(
            ["git", *OPTIONS, *arguments],
            istream=subprocess.PIPE,
            as_process=True,
            env={**ENVIRONMENT, **variables},
            start_new_session=True,  # to kill what git starts along with it
        )
    except git.GitCommandNotFound as exc:  # GIT_PYTHON_REFRESH keeps the import from raising
        raise _no_git() from exc
    process = handle.proc
    assert process
    try:
        output, messages = process.communicate(standard_input, timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        return GitResult(
            process.returncode, b"", f"it took more than {timeout:.3g} s", is_late=True
        )
    return GitResult(process.returncode, output, messages.decode("utf-8", "replace"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    # What git has started may still hold the pipes.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=EXIT_TIMEOUT)


def _no_git() -> ConfigError:
    return ConfigError("There is no git on PATH.", "Install it, or fix PATH.")
