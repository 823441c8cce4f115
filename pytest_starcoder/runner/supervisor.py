"""Starts one child, and ends it and everything it started once the requesting process is gone.

Run by path, in a separate interpreter without site-packages. Standard input is a
pipe whose other end only the requesting process holds, so it closes however that
process ends; its messages are END and KILL. The exit status is that of the child.
If the requesting process is gone, its temporary folder is removed here.

A child is interrupted first, as by Ctrl-C, and has some seconds for its teardown.
On Linux, daemons that it left running become children of this process and are
found; on other systems only those in its process group are.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # importing `typing` would take as long as starting the interpreter
if TYPE_CHECKING:
    from typing import NoReturn

END, KILL = b"e", b"k"
"""Commands: interrupt the child and give it time, or kill it at once."""

TERMINATING = 1.0
"""Seconds between SIGTERM and SIGKILL for processes that have not ended."""

KILLING = 5.0
"""Seconds after which processes that survive SIGKILL are abandoned: they hang in the kernel."""

PARENT_CHECK = 0.5
"""Seconds between checks for the requesting process: its forks may keep the pipe open."""

TICK = 0.02
"""Seconds between checks while processes are being ended."""

# Constants of <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Runs one command in its own session.

    `parent` is the requesting process, `grace` the seconds for the teardown.
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

        Returns None if the child cannot be ended.
        """
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._listen_to_signals()
        self._child = _start(command)
        for descriptor in descriptors:
            os.close(descriptor)  # or the reader of the other end would not notice the child's exit
        while self._status is None and not self._command:
            self._wait(PARENT_CHECK)
        if self._status is None and self._grace and self._command != KILL:
            self._signal_group(signal.SIGINT)
            self._wait_for_child(self._grace)
        self._end_what_is_left()
        return self._status

    def _listen_to_signals(self) -> None:
        """Make every signal wake up the waiting `select`."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        self._inputs.append(woken)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # Handled rather than ignored, so they have their default effect in the child.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def _wait(self, seconds: float) -> bool:
        """Wait for an event, up to a limit; return whether any of our processes are left."""
        ready, _, _ = select.select(self._inputs, [], [], seconds)
        is_over = os.getppid() != self._parent
        for descriptor in ready:
            try:
                received = os.read(descriptor, 64)
            except OSError:
                received = b""
            if descriptor != 0:
                # Numbers of signals; all but SIGCHLD ask us to end.
                is_over |= received.strip(bytes([signal.SIGCHLD])) != b""
            elif received:
                self._command = received[-1:]
            else:
                self._inputs.remove(0)  # the requesting process is gone
                is_over = True
        if is_over and not self._command:
            self._command = END
        return self._reap()

    def _wait_for_child(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._status is None and self._command != KILL:
            remaining = until - time.monotonic()
            if remaining <= 0:
                return
            self._wait(min(PARENT_CHECK, remaining))

    def _reap(self) -> bool:
        """Reap all ended processes; return whether others are running."""
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
        """Return whether processes of the child's group run as children of init, not ours."""
        try:
            os.killpg(self._child, 0)
        except OSError:
            return False
        return sys.platform != "linux"

    def _end_what_is_left(self) -> None:
        """Ask everything to end, if there is time, and then kill it."""
        signals = [(signal.SIGKILL, KILLING)]
        if self._grace and self._command != KILL:
            signals.insert(0, (signal.SIGTERM, TERMINATING))
        for number, seconds in signals:
            until = time.monotonic() + seconds
            sent: set[int] = set()
            while self._reap() and time.monotonic() < until:
                # Each process is asked once, including those started in the meantime.
                processes = {self._child, *descendants(os.getpid())} - sent
                if number == signal.SIGKILL or self._child in processes:
                    self._signal_group(number)
                for process in processes - {self._child}:
                    _signal(process, number)
                if number == signal.SIGTERM:
                    sent |= processes
                self._wait(TICK)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(OSError):  # the whole group has ended
            os.killpg(self._child, number)


def descendants(process: int) -> list[int]:
    """Return the descendants of `process`, from /proc; empty if there is no /proc."""
    children: dict[int, list[int]] = {}
    try:
        entries = os.listdir("/proc")  # noqa: PTH208 - only names, possibly thousands
    except OSError:
        return []
    for entry in filter(str.isdigit, entries):
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow
                status = file.read()
            # The name in parentheses may contain spaces and parentheses.
            _, _, fields = status.rpartition(b")")
            parent = int(fields.split()[1])
        except (OSError, ValueError, IndexError):
            continue  # it has ended
        children.setdefault(parent, []).append(int(entry))
    processes = [process]
    for ancestor in processes:  # grows while it is read
        processes += children.get(ancestor, [])
    return processes[1:]


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it has ended or belongs to another user
        os.kill(process, number)


def _start(command: list[str]) -> int:
    """Start the child in its own session; on Linux the kernel kills it with this process."""
    supervisor = os.getpid()
    # The child's end stays open until exec: before that there may be no group to signal.
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
        # Python ignores the first two; background jobs of a shell ignore SIGINT.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        os.execv(command[0], command)
    finally:
        os._exit(127)


def _prctl(option: int, value: int) -> None:
    """Call prctl on Linux; elsewhere, and if refused, do nothing."""
    if sys.platform == "linux":
        import ctypes  # slow, and needed on Linux only

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_like(status: int | None) -> NoReturn:
    """End this process in the way that the wait status describes."""
    if status is not None and os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has already dumped core
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
        os.kill(os.getpid(), number)
    os._exit(1 if status is None else os.waitstatus_to_exitcode(status))


def main(arguments: list[str]) -> NoReturn:
    parent, grace, temporary, descriptors, *command = arguments
    numbers = list(map(int, filter(None, descriptors.split(","))))
    status = Supervisor(int(parent), float(grace)).run(command, numbers)
    if temporary and os.getppid() != int(parent):
        import shutil

        os.chdir("/")
        shutil.rmtree(temporary, ignore_errors=True)
    _end_like(status)


if __name__ == "__main__":
    main(sys.argv[1:])
