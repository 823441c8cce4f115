"""Replies of a hostile worker: only valid answers to the current command count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fcntl", reason="candidates are tried in forks")

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.protocol import Malformed, decode, encode
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import OUT_OF_TIME, Trial, Trials, Unavailable
from pytest_starcoder.runner.worker_messages import (
    Checks,
    Command,
    Input,
    Judgement,
    NotReady,
    Ready,
    Record,
)
from pytest_starcoder.source.edits.edit import Edit

CHECKS = Checks({"t": 1.0})


class FakeChannel:
    """A channel with prepared lines for each command, some of them replies to earlier ones."""

    def __init__(self, *replies: list[dict[str, Any]]) -> None:
        self.commands: list[Command] = []
        self._replies = list(replies)
        self._lines: list[bytes] = []

    def send(self, command: Command, _seconds: float) -> None:
        self.commands.append(command)
        self.feed(*self._replies.pop(0))

    def feed(self, *replies: dict[str, Any]) -> None:
        self._lines += [json.dumps(reply).encode() for reply in replies]

    def receive(self, kinds: tuple[type, ...], _seconds: float) -> Any:
        while self._lines:
            try:
                return decode(self._lines.pop(0), kinds)
            except Malformed:
                continue
        return None


def trials_on(channel: FakeChannel) -> Trials:
    trials = Trials(Launch(Path(), Path()), ["t"], Deadline.after(60))
    trials._early, trials._late = FakeChannel(), channel  # type: ignore[assignment]
    return trials


def edits(text: str) -> tuple[Edit, ...]:
    return (Edit("shop.py", (0, 1), "a", text, "a kind", 1.0, 1),)


A, B, C, D = map(edits, "abcd")


def done(command: Any) -> dict[str, Any]:
    return {"Done": {"command": command}}


def verdict(number: Any, command: Any, word: Any = "fails", **fields: Any) -> dict[str, Any]:
    return {"Verdict": {"command": command, "number": number, "verdict": word, **fields}}


def judged(number: int, command: int, **judgement: Any) -> dict[str, Any]:
    fields = {"command": command, "number": number, "judgement": judgement}
    return {"DraftVerdict": fields}


def test_stale_verdicts() -> None:
    channel = FakeChannel(
        [verdict(0, 1), verdict(1, 1)],  # and time runs out
        [verdict(1, 1, "passes"), done(1), verdict(2, 2), verdict(3, 2, "passes"), done(2)],
    )
    trials = trials_on(channel)
    assert [trial.edits for trial in trials.try_in_functions([A, B], CHECKS)] == [A, B]
    assert list(trials.try_in_functions([C, D], CHECKS)) == [Trial(C, "fails"), Trial(D, "passes")]


def test_reading_may_stop_early() -> None:
    channel = FakeChannel(
        [verdict(0, 1), verdict(1, 1, "passes"), done(1)], [verdict(2, 2, "breaks"), done(2)]
    )
    trials = trials_on(channel)
    assert next(iter(trials.try_in_functions([A, B], CHECKS))) == Trial(A, "fails")
    assert list(trials.try_in_functions([C], CHECKS)) == [Trial(C, "breaks")]


def test_stale_judgements() -> None:
    rounds = [[{"nodeid": "t", "outcome": "passed", "seconds": 1.0}]]
    channel = FakeChannel(
        [], [verdict(0, 1, "hung"), done(1), judged(1, 2, rounds=rounds), done(2)]
    )
    trials = trials_on(channel)
    assert trials.judge([("a.py", "")], 1.0) == [Judgement(OUT_OF_TIME)]
    assert trials.judge([("b.py", "")], 1.0) == [Judgement("", ((Record("t", "passed", 1.0),),))]


def test_crashed_draft() -> None:
    trials = trials_on(FakeChannel([verdict(0, 1, "crashed"), done(1)]))
    assert trials.judge_together([("a.py", "")], 1.0) == Judgement("crashed")


def test_stale_observations() -> None:
    stale = [
        {"ObservedInputs": {"inputs": [{"text": "old", "code": ""}], "command": 1}},
        {"Behaviour": {"number": 0, "command": 1, "outcomes": ["old"]}},
        done(1),
    ]
    fresh = [
        {"Behaviour": {"number": 1, "command": 2, "outcomes": ["new"]}},
        {"ObservedInputs": {"inputs": [{"text": "f(1)", "code": ""}], "command": 2}},
        done(2),
    ]
    trials = trials_on(FakeChannel([], [*stale, *fresh]))
    assert trials.observe([A], CHECKS) == ([], [()])
    assert trials.observe([B], CHECKS) == ([Input("f(1)", "")], [("new",)])


RECORD = {"nodeid": "t", "outcome": "passed", "seconds": 1}

IGNORED = {
    "empty": {},
    "of another command": verdict(0, 2, "fails"),
    "command as text": verdict(0, "1", "fails"),
    "negative number": verdict(-1, 1, "fails"),
    "unknown number": verdict(7, 1, "fails"),
    "number as text": verdict("0", 1, "fails"),
    "no number": verdict(None, 1, "fails"),
    "number as list": verdict([], 1, "fails"),
    "word as number": verdict(0, 1, 1),
    "word as list": verdict(0, 1, ["passes"]),
    "unknown word": verdict(0, 1, "great"),
    "records as object": verdict(0, 1, "passes", records={}),
    "empty record": verdict(0, 1, "passes", records=[{}]),
    "unknown outcome": verdict(0, 1, "passes", records=[{**RECORD, "outcome": "great"}]),
    "name as number": verdict(0, 1, "passes", records=[{**RECORD, "raised": 3}]),
    "end of no command": {"Done": {}},
    "inputs as number": {"ObservedInputs": {"inputs": 1, "command": 1}},
    "inputs for another kind of command": {"ObservedInputs": {"inputs": [], "command": 1}},
    "behaviour for another kind": {"Behaviour": {"number": 0, "command": 1, "outcomes": []}},
    "judgement for another kind": judged(0, 1, problem="no test"),
    "start of the worker": {"NotReady": {"reason": "because"}},
}


@pytest.mark.parametrize("reply", IGNORED.values(), ids=IGNORED)
def test_ignored_replies(reply: dict[str, Any]) -> None:
    trials = trials_on(FakeChannel([reply, verdict(0, 1, "breaks"), done(1)]))
    assert list(trials.try_in_functions([A], CHECKS)) == [Trial(A, "breaks")]


def test_record_of_another_test() -> None:
    forged = verdict(0, 1, "passes", records=[{**RECORD, "nodeid": "another"}])
    trials = trials_on(FakeChannel([forged, done(1)]))
    assert list(trials.try_in_functions([A], CHECKS)) == [Trial(A, "crashed")]


def test_find_killers() -> None:
    failed = {**RECORD, "outcome": "failed"}
    replies = [verdict(0, 1, "fails", records=[failed]), verdict(1, 1, "hung"), done(1)]
    trials = trials_on(FakeChannel(replies))
    killers = list(trials.find_killers([*A, *B], {"t": 1.0}))
    assert killers == [(A[0], frozenset({"t"})), (B[0], frozenset({"t"}))]
    assert list(trials.find_killers([*C], {})) == []


def test_run_tests() -> None:
    channel = FakeChannel([verdict(0, 1, "passes", records=[RECORD]), done(1)])
    trials = trials_on(channel)
    assert trials.run_tests([A, B], {"t": 1.0}) == [(Record("t", "passed", 1.0),), ()]
    [command] = channel.commands
    assert (command.first_wait, command.wait, command.batch) == (3.0, 3.0, 1)


def test_distinct_mutants() -> None:
    replies = [verdict(1, 1, "passes"), verdict(0, 1, "unchanged"), done(1)]
    assert trials_on(FakeChannel(replies)).distinct([*A, *B]) == [*B]


READY = {"collected": ["t"], "level": "audit", "imported": {"a.py": [1]}, "unimportable": {}}


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({}, True),
        ({"level": "great"}, False),
        ({"collected": 1}, False),
        ({"imported": {"a.py": ["x"]}}, False),
    ],
    ids=["valid", "unknown-level", "no-tests", "texts-for-lines"],
)
def test_ready(change: dict[str, Any], is_valid: bool) -> None:
    channel = FakeChannel()
    channel.feed({"Ready": READY | change})
    trials = trials_on(channel)
    if is_valid:
        assert trials._wait_until_ready().level is Level.AUDIT
    else:
        with pytest.raises(Unavailable, match=r"^the tests cannot be collected again$"):
            trials._wait_until_ready()


def test_not_ready() -> None:
    channel = FakeChannel()
    channel.feed(json.loads(encode(NotReady("no such plugin"))))
    with pytest.raises(Unavailable) as caught:
        trials_on(channel)._wait_until_ready()
    assert str(caught.value) == "the tests cannot be collected again: no such plugin"


def test_round_trip() -> None:
    ready = Ready(frozenset({"t"}), Level.KERNEL, {"a.py": frozenset({1})}, {})
    assert decode(encode(ready), (Ready, NotReady)) == ready
