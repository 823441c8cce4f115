"""A child process that ends with everything it started, whatever happens to this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pytest_starcoder.runner.supervisor import END, KILL

ENDING = 10.0
"""Seconds after the grace period for the supervisor to end everything, even on a busy machine."""

KILLED = (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))


class ChildProcess:
    """A child process in its own session, started in `folder`; it inherits only `descriptors`.

    The child and everything it started end at the end of a `with` block, when `end` is
    called, or when this process ends in any way. It is interrupted first and has `grace`
    seconds for its teardown, or is killed at once if there are none. `temporary` is a folder
    to remove with it if this process ends first. Raises OSError if it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        descriptors: Sequence[int] = (),
        grace: float = 0.0,
        temporary: Path | None = None,
    ) -> None:
        self._grace = grace
        self.was_killed = False
        """True if the grace period was too short."""
        options: dict[str, Any] = {"cwd": folder, "env": dict(variables)}
        if sys.platform == "win32":
            options["stdin"] = subprocess.DEVNULL
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            command = [*_supervisor(descriptors, grace, temporary), *command]
            # The supervisor listens to this pipe, which closes however this process ends.
            options |= {"stdin": subprocess.PIPE, "bufsize": 0}
            options |= {"start_new_session": True, "pass_fds": descriptors}
        # Nobody reads the output of the child, and it must not fill a pipe.
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the child runs."""
        return self._process.returncode

    def wait(self, seconds: float) -> None:
        """Wait for the child to exit. Raises subprocess.TimeoutExpired."""
        self._process.wait(seconds)

    def end(self) -> None:
        """End the child and everything it started.

        A second Ctrl-C in the meantime kills it at once.
        """
        has_grace = self._grace > 0
        try:
            if self._process.poll() is None:
                self._interrupt()
                self._process.wait(self._grace + ENDING)
                self.was_killed = has_grace and self._process.returncode in KILLED
        except subprocess.TimeoutExpired:
            self.was_killed = has_grace
        except KeyboardInterrupt:  # the second Ctrl-C: do not wait for the teardown
            self.was_killed = has_grace
            raise
        finally:
            self._kill()

    def _interrupt(self) -> None:
        if sys.platform != "win32":
            self._send(END)
            return
        if self._grace:
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace)
                return
        self._process.kill()
        self.was_killed = self._grace > 0

    def _kill(self) -> None:
        """Kill what is still running, and wait for it to end."""
        if self._process.poll() is None:
            self._send(KILL)
            try:
                self._process.wait(ENDING)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _send(self, command: bytes) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it ended just now
                self._process.stdin.write(command)


def _supervisor(descriptors: Sequence[int], grace: float, temporary: Path | None) -> list[str]:
    """Return the command of the supervisor, which the child's own command follows."""
    script = str(Path(__file__).with_name("supervisor.py"))
    numbers = ",".join(map(str, descriptors))
    arguments = [str(os.getpid()), str(grace), str(temporary or ""), numbers]
    # Without site-packages and our package, it starts quickly.
    return [sys.executable, "-I", "-S", script, *arguments]
