"""Watching one fork: its replies are relayed, and problems become verdicts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from support.processes import still_alive

pytest.importorskip("fcntl", reason="candidates are tried in forks")

from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.fork_server import CommandReplies, ForkWatch, end_fork
from pytest_starcoder.runner.protocol import encode
from pytest_starcoder.runner.supervisor import descendants
from pytest_starcoder.runner.worker_messages import (
    REPLIES,
    Behaviour,
    Candidate,
    Checks,
    Done,
    ObservedInputs,
    Reply,
    TryEdits,
    Verdict,
)


class Watched:
    """A watch on three candidates, with the pipe of the fork and the channel of the parent."""

    def __init__(self, stack: ExitStack, first_wait: float = 0.2, wait: float = 5.0) -> None:
        self.results, self.fork = os.pipe()
        ours, theirs = socket.socketpair()
        self.parent = Channel(ours.detach())
        server = Channel(theirs.detach())
        stack.callback(self.parent.close)
        stack.callback(server.close)
        stack.callback(os.close, self.results)
        candidates = tuple(map(Candidate, (1, 2, 3)))
        command = TryEdits(
            number=7, candidates=candidates, first_wait=first_wait, wait=wait, checks=Checks({})
        )
        self.watch = ForkWatch(self.results, CommandReplies(server, 7), command, candidates)

    def write(self, *replies: Reply | bytes) -> None:
        for reply in replies:
            os.write(self.fork, reply if isinstance(reply, bytes) else encode(reply))

    def relayed(self) -> list[Reply]:
        replies = []
        while (reply := self.parent.receive(REPLIES, 0.05)) is not None:
            replies.append(reply)
        return replies


@pytest.fixture
def watched() -> Iterator[Watched]:
    with ExitStack() as stack:
        yield Watched(stack)


def verdicts(*words: str) -> list[Verdict]:
    return [
        Verdict(number, word, command=7)  # type: ignore[arg-type]
        for number, word in enumerate(words, 1)
    ]


def test_replies_get_the_command(watched: Watched) -> None:
    inputs = ObservedInputs((), command=7)
    watched.write(Verdict(1, "fails"), Verdict(2, "passes"), ObservedInputs(()), Done())
    assert watched.watch.relay_all() == 2
    assert watched.relayed() == [*verdicts("fails", "passes"), inputs]


def test_forged_replies(watched: Watched) -> None:
    noise: list[Reply | bytes] = [Verdict(2, "passes"), b"{}\n", b"x\n", Behaviour(9, ())]
    watched.write(*noise, Verdict(1, "fails"), Done())
    assert watched.watch.relay_all() == 1
    assert watched.relayed() == verdicts("fails")


def test_hung(watched: Watched) -> None:
    watched.write(b'{"Verdict"')
    assert watched.watch.relay_all() == 1
    assert watched.relayed() == verdicts("hung")


@pytest.mark.parametrize(
    ("replies", "words"),
    [([], ["crashed"]), ([Verdict(1, "passes")], ["passes", "crashed"])],
    ids=["at-once", "at-the-second"],
)
def test_crashed(watched: Watched, replies: Sequence[Reply], words: Sequence[str]) -> None:
    watched.write(*replies)
    os.close(watched.fork)
    assert watched.watch.relay_all() == len(words)
    assert watched.relayed() == verdicts(*words)


def test_done_without_replies(watched: Watched) -> None:
    watched.write(Done())
    assert watched.watch.relay_all() == 1
    assert watched.relayed() == verdicts("crashed")


def test_unwanted_replies(watched: Watched) -> None:
    watched.parent.send(Done())  # any further command
    watched.write(Verdict(1, "passes"))
    assert watched.watch.relay_all() == 3
    assert watched.relayed() == []


SLEEPS = "import time; time.sleep(60)"

STARTS_ONE = f"""
import subprocess, sys
sleeper = subprocess.Popen([sys.executable, '-c', '{SLEEPS}'])
print('started', flush=True)
sleeper.wait()
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
def test_end_fork_spares_the_sibling() -> None:
    with ExitStack() as stack:
        sibling = stack.enter_context(running(SLEEPS))
        candidate = stack.enter_context(running(STARTS_ONE))
        assert candidate.stdout is not None
        assert candidate.stdout.readline() == b"started\n"
        [sleeper] = descendants(candidate.pid)
        end_fork(candidate.pid, sibling.pid)
        assert still_alive([sleeper], seconds=5) == []
        assert sibling.poll() is None
