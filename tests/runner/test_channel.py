"""Messages between two processes: no side waits too long, whatever the other one does."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fcntl", reason="changes are tried in forks")

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.trials import Judgement, Record, Trial, Trials
from pytest_starcoder.source.edits.edit import Edit


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours.detach(), max_line=1 << 17)
    with theirs:
        yield channel, theirs
    channel.close()


def test_other_lines_are_skipped(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    theirs.sendall(b'\n{\n[1]\n"a"\n\xff\n{"a": 1}\n')
    assert channel.read(5) == {"a": 1}


def test_closed_side(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    theirs.sendall(b'{"a": 1}\n{"b"')
    theirs.close()
    assert channel.read(5) == {"a": 1}
    assert channel.read(5) is None
    with pytest.raises(OSError, match="Broken pipe"):
        channel.write({"a": 1})


def test_silent_side(ends: tuple[Channel, socket.socket]) -> None:
    started = time.monotonic()
    assert ends[0].read(0.1) is None
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("endless", [b"x" * 4096, b"x\n" * 2048], ids=["one line", "many lines"])
def test_noisy_side(ends: tuple[Channel, socket.socket], endless: bytes) -> None:
    channel, theirs = ends

    def talk() -> None:
        try:
            while True:
                theirs.sendall(endless)
        except OSError:
            pass

    talking = threading.Thread(target=talk)
    talking.start()
    started = time.monotonic()
    try:
        assert channel.read(0.3) is None
        assert time.monotonic() - started < 2
    finally:
        theirs.shutdown(socket.SHUT_RDWR)
        talking.join()


def test_expired_time(ends: tuple[Channel, socket.socket]) -> None:
    ends[1].sendall(b'{"a": 1}\n')
    assert ends[0].read(0) is None


def test_high_descriptor(ends: tuple[Channel, socket.socket]) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2000:
        pytest.skip("no process may have so many descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    high = 1900
    try:
        os.dup2(ends[0].descriptor, high)
        channel = Channel(high)
        ends[1].sendall(b'{"a": 1}\n')
        assert channel.read(5) == {"a": 1}
        channel.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_reads_while_writing(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    large = {"a": "x" * 1_000_000}

    def other_side() -> None:
        for _ in range(20_000):  # more than fits: it only reads after writing
            theirs.sendall(b'{"stale": "' + b"x" * 100 + b'"}\n')
        read = b""
        while not read.endswith(b"\n"):
            read += theirs.recv(1 << 16)
        theirs.sendall(b'{"read": %d}\n' % len(read))

    answering = threading.Thread(target=other_side)
    answering.start()
    channel.write(large, seconds=20)
    reply: dict[str, Any] | None = {"stale": ""}
    while reply is not None and "stale" in reply:
        reply = channel.read(5)
    answering.join()
    assert reply == {"read": 1_000_010}


def test_side_that_never_reads(ends: tuple[Channel, socket.socket]) -> None:
    channel, _ = ends
    with pytest.raises(OSError, match="the other side is gone, or takes nothing"):
        channel.write({"a": "x" * 10_000_000}, seconds=0.2)
    assert channel.read(5) is None


# --- commands and their replies ---


class Line:
    """A channel with prepared replies: a list per command, some of them to earlier ones."""

    def __init__(self, *replies: list[dict[str, Any]]) -> None:
        self.commands: list[dict[str, Any]] = []
        self._replies = list(replies)
        self._waiting: list[dict[str, Any]] = []

    def write(self, command: dict[str, Any], _seconds: float) -> None:
        self.commands.append(command)
        self._waiting += self._replies.pop(0)

    def read(self, _seconds: float) -> dict[str, Any] | None:
        return self._waiting.pop(0) if self._waiting else None


def trials_on(line: Line) -> Trials:
    trials = Trials(Launch(Path(), Path()), ["t"], Deadline.after(60))
    trials._early, trials._late = Line(), line  # type: ignore[assignment]
    return trials


def edits(text: str) -> tuple[Edit, ...]:
    return (Edit("shop.py", (0, 1), "a", text, "a kind", 1.0, 1),)


A, B, C, D = map(edits, "abcd")
DONE_1, DONE_2 = {"done": True, "command": 1}, {"done": True, "command": 2}


def verdict(number: Any, command: Any, said: Any = "fails", **more: Any) -> dict[str, Any]:
    return {"number": number, "command": command, "verdict": said, **more}


def test_stale_verdict() -> None:
    line = Line(
        [verdict(0, 1), verdict(1, 1)],  # and time runs out
        [verdict(1, 1, "passes"), DONE_1, verdict(2, 2), verdict(3, 2, "passes"), DONE_2],
    )
    trials = trials_on(line)
    assert [trial.edits for trial in trials.swapped([A, B], ["t"], [], {"t": 1.0})] == [A, B]
    assert list(trials.swapped([C, D], ["t"], [], {"t": 1.0})) == [
        Trial(C, "fails"),
        Trial(D, "passes"),
    ]


def test_partly_read_replies() -> None:
    line = Line([verdict(0, 1), verdict(1, 1, "passes"), DONE_1], [verdict(2, 2, "breaks"), DONE_2])
    trials = trials_on(line)
    for trial in trials.swapped([A, B], ["t"], [], {"t": 1.0}):
        assert trial == Trial(A, "fails")
        break
    assert list(trials.swapped([C], ["t"], [], {"t": 1.0})) == [Trial(C, "breaks")]


def test_stale_judgements() -> None:
    rounds = {"rounds": [[{"nodeid": "t", "outcome": "passed", "seconds": 1.0}]]}
    line = Line([], [verdict(0, 1, "hung"), DONE_1, verdict(1, 2, "judged", **rounds), DONE_2])
    trials = trials_on(line)
    assert trials.judged([("a.py", "")], 1.0) == [Judgement("not run: the time is over")]
    assert trials.judged([("b.py", "")], 1.0) == [Judgement("", ((Record("t", "passed", 1.0),),))]


def test_stale_observations() -> None:
    stale = [
        {"inputs": [["old", ""]], "command": 1},
        verdict(0, 1, "observed", behaviour=["old"]),
        DONE_1,
    ]
    fresh = [
        verdict(1, 2, "observed", behaviour=["new"]),
        {"inputs": [["f(1)", ""]], "command": 2},
        DONE_2,
    ]
    trials = trials_on(Line([], [*stale, *fresh]))
    assert trials.observed([A], ["t"], [], {"t": 1.0}) == ([], [()])
    assert trials.observed([B], ["t"], [], {"t": 1.0}) == ([("f(1)", "")], [("new",)])


OTHER_REPLIES: dict[str, dict[str, Any]] = {
    "empty": {},
    "of another command": verdict(0, 2),
    "of a command that is a text": verdict(0, "1"),
    "of number minus one": verdict(-1, 1),
    "of an unknown number": verdict(7, 1),
    "of a number that is a text": verdict("0", 1),
    "of no number": verdict(None, 1),
    "of a list": verdict([], 1),
    "done without a command": {"done": True},
    "inputs of a wrong type": {"inputs": 1, "command": 1, "number": 9},
}


@pytest.mark.parametrize("reply", OTHER_REPLIES.values(), ids=OTHER_REPLIES)
def test_unexpected_replies(reply: dict[str, Any]) -> None:
    trials = trials_on(Line([reply, verdict(0, 1, "passes"), DONE_1]))
    found = [
        trial for trial in trials.swapped([A], ["t"], [], {"t": 1.0}) if trial.verdict == "passes"
    ]
    assert found == [Trial(A, "passes")]


def record(**fields: Any) -> dict[str, Any]:
    return {
        "said": "passes",
        "records": [{"nodeid": "t", "outcome": "passed", "seconds": 1, **fields}],
    }


WRONG_VERDICTS: dict[str, dict[str, Any]] = {
    "a number": {"said": 1},
    "a list": {"said": ["passes"]},
    "an unknown word": {"said": "great"},
    "records in an object": {"said": "passes", "records": {}},
    "an empty record": {"said": "passes", "records": [{}]},
    "an unknown outcome": record(outcome="great"),
    "of another test": record(nodeid="other"),
    "a number for a name": record(raised=3),
}


@pytest.mark.parametrize("more", WRONG_VERDICTS.values(), ids=WRONG_VERDICTS)
def test_malformed_verdict(more: dict[str, Any]) -> None:
    trials = trials_on(Line([verdict(0, 1, **more), DONE_1]))
    assert list(trials.swapped([A], ["t"], [], {"t": 1.0})) == [Trial(A, "crashed")]


READY = {"collected": ["t"], "level": "audit", "imported": {"a.py": [1]}, "unimportable": {}}


@pytest.mark.parametrize(
    ("change", "is_ready"),
    [
        ({}, True),
        ({"level": "great"}, False),
        ({"collected": 1}, False),
        ({"imported": {"a.py": ["x"]}}, False),
    ],
    ids=["as it is", "unknown level", "no tests", "texts for lines"],
)
def test_ready_message(change: dict[str, Any], is_ready: bool) -> None:
    line = Line()
    line._waiting = [READY | change]
    assert (trials_on(line)._ready(Deadline.after(5.0)) is not None) is is_ready


def test_silent_child() -> None:
    assert trials_on(Line())._ready(Deadline.after(5.0)) is None
