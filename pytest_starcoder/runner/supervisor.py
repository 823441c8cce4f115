"""Starts one child, and ends it and all that it has started when the process that wants it is gone.

Run by path, in an interpreter of its own without site-packages. Standard input
is a pipe whose other end is held by that process alone, so it ends however that
process ends; what comes over it is END or KILL. The exit status is the child's. If
that process is gone it cannot remove its temporary folder: that is done here.

A child is interrupted first, as by Ctrl-C, and has some seconds for its
teardowns. On Linux what it has left running elsewhere becomes this process's own
child, and is found; on other systems only what is still in its process group is.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # importing typing would take as long as starting the interpreter
if TYPE_CHECKING:
    from typing import NoReturn

END, KILL = b"e", b"k"
"""Commands: interrupt the child and give it time; or end it at once."""

TERMINATING = 1.0
"""Seconds between SIGTERM and SIGKILL for what has not ended by itself."""

KILLING = 5.0
"""Seconds after which what SIGKILL does not end is left alone: it hangs in the kernel."""

PARENT = 0.5
"""Seconds after which the parent is looked for: a fork of it may hold its end of the pipe open."""

TICK = 0.02
"""Seconds between two looks at what is being ended."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Supervisor:
    """Runs one command in a session of its own.

    `parent` is the process that wants it, `grace` the seconds for its teardowns.
    """

    def __init__(self, parent: int, grace: float) -> None:
        self._parent = parent
        self._grace = grace
        self._child = 0
        self._status: int | None = None
        self._command = b""
        self._inputs = [0]

    def run(self, command: list[str], descriptors: list[int]) -> int | None:
        """Run the command with our `descriptors`, and return its wait status.

        None where nothing can end it.
        """
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._listen_to_signals()
        self._child = _start(command)
        for descriptor in descriptors:
            os.close(descriptor)  # or who reads the other end would not see that the child is gone
        while self._status is None and not self._command:
            self._wait(PARENT)
        if self._status is None and self._grace and self._command != KILL:
            self._signal_group(signal.SIGINT)
            self._wait_for_child(self._grace)
        self._end_what_is_left()
        return self._status

    def _listen_to_signals(self) -> None:
        """Have every signal wake the `select` that waits."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        self._inputs.append(woken)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # With a handler, and not ignored, they have their default effect in the child.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def _wait(self, seconds: float) -> bool:
        """Wait for news at most so long; return whether processes of ours are left."""
        ready, _, _ = select.select(self._inputs, [], [], seconds)
        for descriptor in ready:
            try:
                news = os.read(descriptor, 64)
            except OSError:
                news = b""
            if descriptor == 0:
                self._command = news[-1:] or self._command or END
                if not news:
                    self._inputs.remove(0)
            elif news.strip(bytes([signal.SIGCHLD])):
                self._command = self._command or END
        if os.getppid() != self._parent:
            self._command = self._command or END
        return self._reap()

    def _wait_for_child(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._status is None and self._command != KILL and time.monotonic() < until:
            self._wait(min(PARENT, max(0.0, until - time.monotonic())))

    def _reap(self) -> bool:
        """Wait for all that have ended; return whether others run."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self._has_group()
            if pid == 0:
                return True
            if pid == self._child:
                self._status = status

    def _has_group(self) -> bool:
        """Whether processes of the child's group run that are init's children, not ours."""
        try:
            os.killpg(self._child, 0)
        except OSError:
            return False
        return sys.platform != "linux"

    def _end_what_is_left(self) -> None:
        """Ask everything to end, if there is time for that, and then end it."""
        signals = [(signal.SIGKILL, KILLING)]
        if self._grace and self._command != KILL:
            signals.insert(0, (signal.SIGTERM, TERMINATING))
        for number, seconds in signals:
            until = time.monotonic() + seconds
            sent: set[int] = set()
            while self._reap() and time.monotonic() < until:
                # Those that are asked are asked once, those that were started meanwhile too.
                processes = {self._child, *descendants(os.getpid())} - sent
                if number == signal.SIGKILL or self._child in processes:
                    self._signal_group(number)
                for process in processes - {self._child}:
                    _signal(process, number)
                if number == signal.SIGTERM:
                    sent |= processes
                self._wait(TICK)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(OSError):  # all of the group have ended
            os.killpg(self._child, number)


def descendants(process: int) -> list[int]:
    """Return the processes that `process` has started, and those that they have started.

    By /proc: none where there is none.
    """
    children: dict[int, list[int]] = {}
    try:
        entries = os.listdir("/proc")  # noqa: PTH208 - names alone, thousands of them
    except OSError:
        return []
    for entry in entries:
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes longer to import
                    status = file.read()
                parent = int(status.rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it has ended
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    waiting = [process]
    while waiting:
        started = children.get(waiting.pop(), [])
        found += started
        waiting += started
    return found


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        os.kill(process, number)


def _start(command: list[str]) -> int:
    """Start the child, in a session of its own; on Linux the kernel ends it with this process."""
    supervisor = os.getpid()
    # The child's end is open until the command runs: before that there may be no group to signal.
    started, starts = os.pipe()
    child = os.fork()
    if child:
        os.close(starts)
        os.read(started, 1)
        os.close(started)
        return child
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # Python ignores the first two; what a shell runs in the background ignores SIGINT.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        os.execv(command[0], command)
    finally:
        os._exit(127)


def _prctl(option: int, value: int) -> None:
    """Ask Linux for something; elsewhere, and where it is refused, nothing happens."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_like(status: int | None) -> NoReturn:
    """End this process as a process with that wait status has ended."""
    if status is not None and os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has written a core already
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
        os.kill(os.getpid(), number)
    os._exit(1 if status is None else os.waitstatus_to_exitcode(status))


def main(arguments: list[str]) -> NoReturn:
    parent, grace, temporary, descriptors, *command = arguments
    numbers = [int(number) for number in descriptors.split(",") if number]
    status = Supervisor(int(parent), float(grace)).run(command, numbers)
    if temporary and os.getppid() != int(parent):
        import shutil

        os.chdir("/")
        shutil.rmtree(temporary, ignore_errors=True)
    _end_like(status)


if __name__ == "__main__":
    main(sys.argv[1:])
