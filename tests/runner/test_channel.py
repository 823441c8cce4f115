"""Messages between two processes: no side waits too long, whatever the other one does."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("fcntl", reason="changes are tried in forks")

from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.protocol import encode


@dataclass(frozen=True)
class Note:
    text: str


@dataclass(frozen=True)
class Stale:
    text: str


KINDS = (Note,)
Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours.detach(), max_line=1 << 17)
    with theirs:
        yield channel, theirs
    channel.close()
    channel.close()


def test_other_lines_are_skipped(ends: Ends) -> None:
    channel, theirs = ends
    theirs.sendall(b'\n{\n[1]\n"a"\n\xff\n' + encode(Stale("b")) + encode(Note("a")))
    assert channel.receive(KINDS, 5) == Note("a")
    assert not channel.is_pending


def test_sent_message(ends: Ends) -> None:
    channel, theirs = ends
    channel.send(Note("a"))
    channel.send(Note("b"), seconds=5)
    assert theirs.recv(1000) == encode(Note("a")) + encode(Note("b"))


def test_closed_side(ends: Ends) -> None:
    channel, theirs = ends
    theirs.sendall(encode(Note("a")) + b'{"Note"')
    theirs.close()
    assert channel.receive(KINDS) == Note("a")
    assert channel.is_pending
    assert channel.receive(KINDS) is None
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send(Note("a"))


def test_silent_side(ends: Ends) -> None:
    started = time.monotonic()
    assert ends[0].receive(KINDS, 0.1) is None
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("endless", [b"x" * 4096, b"x\n" * 2048], ids=["one-line", "many-lines"])
def test_noisy_side(ends: Ends, endless: bytes) -> None:
    channel, theirs = ends

    def talk() -> None:
        try:
            while True:
                theirs.sendall(endless)
        except OSError:
            pass

    thread = threading.Thread(target=talk)
    thread.start()
    started = time.monotonic()
    try:
        assert channel.receive(KINDS, 0.3) is None
        assert time.monotonic() - started < 2
    finally:
        theirs.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_expired_time(ends: Ends) -> None:
    ends[1].sendall(encode(Note("a")))
    assert ends[0].receive(KINDS, 0) is None


def test_high_descriptor(ends: Ends) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2000:
        pytest.skip("no process may have so many descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    high = 1900
    try:
        os.dup2(ends[0].descriptor, high)
        channel = Channel(high)
        ends[1].sendall(encode(Note("a")))
        assert channel.receive(KINDS, 5) == Note("a")
        channel.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_reads_while_writing(ends: Ends) -> None:
    channel, theirs = ends
    large = Note("x" * 1_000_000)

    def answer() -> None:
        for _ in range(20_000):  # more than fits: it only reads after writing
            theirs.sendall(encode(Stale("x" * 100)))
        received = b""
        while not received.endswith(b"\n"):
            received += theirs.recv(1 << 16)
        theirs.sendall(encode(Note(f"{len(received)} bytes")))

    thread = threading.Thread(target=answer)
    thread.start()
    channel.send(large, seconds=20)
    reply = channel.receive(KINDS, 5)
    thread.join()
    assert reply == Note(f"{len(encode(large))} bytes")


def test_side_that_never_reads(ends: Ends) -> None:
    channel, _ = ends
    with pytest.raises(OSError, match="the other side is gone, or does not read"):
        channel.send(Note("x" * 10_000_000), seconds=0.2)
    assert channel.receive(KINDS, 5) is None
