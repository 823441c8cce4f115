"""Serves commands in forks: one process answers them, and each batch of candidates runs in a fork.

A candidate may hang, crash or leave processes behind, so its fork is watched and killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.protocol import MAX_LINE, Malformed, decode
from pytest_starcoder.runner.quiet_fork import fork
from pytest_starcoder.runner.sandbox import die_with_parent
from pytest_starcoder.runner.supervisor import descendants
from pytest_starcoder.runner.worker_messages import (
    COMMANDS,
    REPLIES,
    Candidate,
    CandidateReply,
    Command,
    Done,
    Reply,
    Verdict,
    VerdictWord,
)

KILL_ROUNDS = 50
"""How often to look for processes that a fork starts while it is being killed."""

Prepare = Callable[[Command], tuple[list[Verdict], list[Candidate]]]
"""Splits a command into verdicts that need no run, and candidates to run."""


@dataclass
class Task:
    """The part of a command for one fork, with its replies into the pipe `results`."""

    command: Command
    candidates: Sequence[Candidate]
    results: int


@dataclass(frozen=True)
class CommandReplies:
    """Sends replies that carry the number of their command."""

    channel: Channel
    command: int

    def send(self, reply: Reply) -> None:
        self.channel.send(replace(reply, command=self.command))

    @property
    def are_unwanted(self) -> bool:
        """True once another command has arrived, or the parent is gone."""
        ready, _, _ = select.select([self.channel.descriptor], [], [], 0)
        return bool(ready) or self.channel.is_pending


def serve(channel: Channel, prepare: Prepare, sibling: int = 0) -> Task:
    """Answer commands until the parent closes the channel, then exit.

    Returns only in the forks, with their tasks. `sibling` is another server whose channel the
    parent closes as well: its end is awaited.
    """
    while (command := channel.receive(COMMANDS)) is not None:
        replies = CommandReplies(channel, command.number)
        verdicts, candidates = prepare(command)
        for verdict in verdicts:
            replies.send(verdict)
        while candidates:
            results, write_end = os.pipe()
            child = fork()
            if child == 0:
                die_with_parent()
                os.close(results)
                channel.close()
                os.setsid()
                return Task(command, candidates[: command.batch], write_end)
            os.close(write_end)
            watch = ForkWatch(results, replies, command, candidates)
            try:
                answered = watch.relay_all()
            finally:
                end_fork(child, sibling)
                os.close(results)
            candidates = candidates[answered:]
        replies.send(Done())
    if sibling:
        os.waitpid(sibling, 0)
    os._exit(0)


class ForkWatch:
    """Relays the replies of one fork, for as long as they arrive in time."""

    def __init__(
        self,
        results: int,
        replies: CommandReplies,
        command: Command,
        candidates: Sequence[Candidate],
    ) -> None:
        self._results = results
        self._replies = replies
        self._wait = command.wait
        self._numbers = [candidate.number for candidate in candidates]
        self._answered = 0
        self._unread = b""
        self._until = time.monotonic() + command.first_wait

    def relay_all(self) -> int:
        """Return how many of the candidates need no further fork, after the fork has finished.

        The candidate it was running when it hung or crashed gets that verdict.
        """
        problem = self._relay()
        if problem is None and self._answered == 0:
            problem = "crashed"  # it tried nothing, and a further fork would not either
        if problem is not None and self._answered < len(self._numbers):
            self._send(Verdict(self._numbers[self._answered], problem))
        return self._answered

    def _relay(self) -> VerdictWord | None:
        """Return what went wrong, or None once the fork has finished."""
        descriptors = [self._results, self._replies.channel.descriptor]
        while True:
            seconds = max(0.0, self._until - time.monotonic())
            ready, _, _ = select.select(descriptors, [], [], seconds)
            if self._replies.are_unwanted:
                self._answered = len(self._numbers)
                return None
            if not ready:
                return "hung"
            piece = os.read(self._results, 1 << 16)
            *lines, self._unread = (self._unread + piece).split(b"\n")
            for line in lines:
                reply = _reply_in(line)
                if isinstance(reply, Done):
                    return None
                if reply is not None:
                    self._relay_one(reply)
            if not piece or len(self._unread) > MAX_LINE:
                return "crashed"
            if time.monotonic() > self._until:  # it writes endlessly without a reply
                return "hung"

    def _relay_one(self, reply: Reply) -> None:
        if not isinstance(reply, CandidateReply):
            self._replies.send(reply)
            return
        # The tests run in the same process and may have written to the pipe: only a reply about
        # the current candidate counts.
        current = self._numbers[self._answered : self._answered + 1]
        if current == [reply.number]:
            self._send(reply)
            self._until = time.monotonic() + self._wait

    def _send(self, reply: CandidateReply) -> None:
        self._replies.send(reply)
        self._answered += 1


def _reply_in(line: bytes) -> Reply | None:
    """Return the reply in a line; None if it is not one, or too long for the reader."""
    if len(line) > MAX_LINE:
        return None
    try:
        return decode(line, REPLIES)
    except Malformed:
        return None


def end_fork(child: int, sibling: int = 0) -> None:
    """Kill a fork and everything it started, even what left its process group.

    The `sibling` and its own processes are spared.
    """
    for _ in range(KILL_ROUNDS):
        started = descendants(child)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        for process in started:
            _kill(process)
        if not started:
            break
    with contextlib.suppress(OSError):
        os.waitpid(child, 0)
    spared = {sibling, *descendants(sibling)} if sibling else set()
    for orphan in descendants(os.getpid()):  # this process adopts what the fork left behind
        if orphan not in spared:
            _kill(orphan)
            with contextlib.suppress(OSError):
                os.waitpid(orphan, 0)


def _kill(process: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(process, signal.SIGKILL)


def exit_if_forked(process: int) -> None:
    """Exit unless this is the process of that id: code under test has forked it."""
    if os.getpid() != process:
        os._exit(0)
