"""Failing tests run again, and what is concluded from it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.causes import group_failures
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.neighbours import MAX_NEIGHBOURS
from pytest_starcoder.explain.replay import (
    MAX_CAUSES,
    MAX_FAILING,
    MAX_NEIGHBOUR_SECONDS,
    NEIGHBOURS_SHARE,
    TEST_OVERHEAD,
    Replay,
    Replayer,
    count_tests,
)
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest, Outcome


def failure(name: str) -> Failure:
    frame = Frame("shop.py", 3, "f", 1, "x\nx\nx")
    return Failure(f"test_a.py::{name}", "call", "KeyError", "", "", (frame,))


def finished(
    name: str,
    outcome: str = "passed",
    seconds: float = 0.01,
    *,
    allowed: bool = True,
    worker: str = "",
) -> FinishedTest:
    nodeid = name if "::" in name else f"test_a.py::{name}"
    return FinishedTest(nodeid, outcome, seconds, allowed=allowed, worker=worker)


BAD = finished("test_bad", "failed")


class Child:
    """Stands in for the child process: `outcome` gets a test and the tests of the run."""

    def __init__(self, outcome: Callable[[str, Sequence[str]], Any]) -> None:
        self.runs: list[list[str]] = []
        self._outcome = outcome

    def __call__(
        self, _launch: object, tests: Sequence[str], *_: object, **__: object
    ) -> list[Outcome]:
        self.runs.append(list(tests))
        return [Outcome(test, self._outcome(test, tests), exception="KeyError") for test in tests]


@pytest.fixture
def child() -> Child:
    return Child(lambda test, _tests: "failed" if "bad" in test else "passed")


def replay(
    run: Callable[..., Iterable[Outcome]],
    failures: Sequence[Failure],
    tests: Sequence[FinishedTest],
    seconds: float = 20.0,
) -> list[Replay]:
    launch = Launch(Path("/"), Path("/"))
    deadline = Deadline.after(seconds, "replay_timeout")
    replayer = Replayer(tests, launch, deadline, run_tests=run)
    return replayer.replay(group_failures(failures), lambda _path: "from shop import f")


def test_neighbours_run_too(child: Child) -> None:
    tests = [BAD, finished("test_one"), finished("test_two")]
    [result] = replay(child, [failure("test_bad")], tests)
    assert child.runs == [["test_a.py::test_bad", "test_a.py::test_one", "test_a.py::test_two"]]
    assert result.statements == ("failed again when rerun; 2 neighbours passed",)
    assert count_tests([result]) == 3


def test_unsuitable_neighbours(child: Child) -> None:
    others = [
        finished("slow", seconds=9),
        finished("marked", allowed=False),
        finished("other_bad", "failed"),
        finished("skipped", "skipped"),
    ]
    replay(child, [failure("test_bad")], [BAD, *others])
    assert child.runs == [["test_a.py::test_bad"]]


@pytest.mark.parametrize(
    ("test", "statements"),
    [
        (
            finished("test_bad", "failed", 9),
            ("not rerun: it took 9.0 s, more than the limit of 3 s",),
        ),
        (finished("test_bad", "failed", allowed=False), ()),
    ],
    ids=["slow", "marked"],
)
def test_no_replay(child: Child, test: FinishedTest, statements: tuple[str, ...]) -> None:
    result = replay(child, [failure("test_bad")], [test, finished("test_one")])
    assert result == [Replay(statements=statements)]
    assert child.runs == []


def test_crashed_worker(child: Child) -> None:
    message = "worker 'gw1' crashed while running 'test_a.py::test_bad'"
    crashed = Failure("test_a.py::test_bad", "call", "failure", message, "")
    [result] = replay(child, [crashed], [BAD])
    assert result.statements == ("not rerun: it would crash this process as well",)
    assert child.runs == []


def test_too_many_causes(child: Child) -> None:
    failures = []
    for number in range(MAX_CAUSES + 1):
        frame = Frame("shop.py", number, f"f{number}", 1, "x\n" * 99)
        nodeid = f"test_a.py::test_bad{number}"
        failures.append(Failure(nodeid, "call", f"Error{number}", "", "", (frame,)))
    tests = [finished(f"test_bad{number}", "failed") for number in range(MAX_CAUSES + 1)]
    *_, last = replay(child, failures, tests)
    assert last.statements == ("not rerun: only the tests of the first 30 causes are",)


def test_many_failing_tests(child: Child) -> None:
    names = [f"test_bad[{number}]" for number in range(40)]
    tests = [finished(name, "failed") for name in names]
    [result] = replay(child, [failure(name) for name in names], tests)
    assert len(child.runs[0]) == MAX_FAILING
    assert child.runs[0][0] == "test_a.py::test_bad[0]"
    assert result.statements == ("4 tests failed again",)


def test_largest_causes_first(child: Child) -> None:
    tests, failures = [], []
    for cause in range(12):
        frames = (Frame(f"shop_{cause}.py", 3, "f", 1, "x\nx\nx"),)
        for number in range(5):
            nodeid = f"test_a.py::test_{cause}_bad[{number}]"
            tests.append(finished(nodeid, "failed"))
            failures.append(replace(failure("test_bad"), nodeid=nodeid, frames=frames))
    results = replay(child, failures, tests)
    assert [len(result.failing) for result in results] == [4] * 10 + [2] * 2


def test_nearest_neighbours_first(child: Child) -> None:
    tests = [finished(f"test_{number}") for number in range(200)]
    tests[100] = finished("test_100_bad", "failed")
    replay(child, [failure("test_100_bad")], tests)
    assert set(child.runs[0][1:3]) == {"test_a.py::test_99", "test_a.py::test_101"}
    assert len(child.runs[0]) <= 1 + MAX_NEIGHBOURS


def test_neighbours_of_many_causes(child: Child) -> None:
    tests = []
    failures = []
    for cause in range(20):
        tests.append(finished(f"test_{cause}.py::test_bad", "failed"))
        for number in range(60):
            tests.append(finished(f"test_{cause}.py::test_{number}", seconds=0.0))
        frames = (Frame(f"test_{cause}.py", 3, "f", 1, "x\nx\nx"),)
        nodeid = f"test_{cause}.py::test_bad"
        failures.append(replace(failure("test_bad"), nodeid=nodeid, frames=frames))
    replay(child, failures, tests)
    neighbours = Counter(test.partition("::")[0] for test in child.runs[0][20:])
    most = MAX_NEIGHBOUR_SECONDS / TEST_OVERHEAD
    assert most <= neighbours.total() <= most + 1
    assert max(neighbours.values()) - min(neighbours.values()) <= 1


def test_neighbours_in_other_files(child: Child) -> None:
    replay(child, [failure("test_bad")], [BAD, finished("test_b.py::test_other")])
    assert child.runs[0][1:] == ["test_b.py::test_other"]


def test_order_of_run_is_irrelevant(child: Child) -> None:
    tests = [BAD, *(finished(f"test_{number}") for number in range(50))]
    for order in (tests, tests[::-1], sorted(tests, key=lambda test: hash(test.nodeid))):
        replay(child, [failure("test_bad")], order)
    assert child.runs[0] == child.runs[1] == child.runs[2]


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (0.0, "time ran out (setting replay_timeout)"),
        (20.0, "pytest exited before it finished"),
    ],
    ids=["timeout", "end"],
)
def test_missing_outcome(seconds: float, reason: str) -> None:
    [result] = replay(lambda *_, **__: [], [failure("test_bad")], [BAD], seconds)
    assert result.statements == (f"test_a.py::test_bad could not be run again: {reason}",)


def test_different_exception() -> None:
    outcome = Outcome("test_a.py::test_bad", "failed", exception="OSError")
    [result] = replay(lambda *_, **__: [outcome], [failure("test_bad")], [BAD])
    assert result.statements == ("failed again when rerun, this time with OSError",)


def test_skipped_when_rerun() -> None:
    outcome = Outcome("test_a.py::test_bad", "skipped", message="locked")
    [result] = replay(lambda *_, **__: [outcome], [failure("test_bad")], [BAD])
    assert result.statements == (
        "was skipped when rerun (locked), so its failure could not be observed again",
    )


def test_others_of_the_cause() -> None:
    results = {"test_bad[0]": "failed", "test_bad[1]": "passed", "test_bad[2]": "skipped"}
    child = Child(lambda test, _tests: results[test.rpartition("::")[2]])
    tests = [finished(name, "failed") for name in results]
    [result] = replay(child, list(map(failure, results)), tests)
    assert result.statements == (
        "failed again when rerun; 1 other of the same cause passed this time; "
        "1 other of the same cause was skipped this time",
    )


def test_disturbed_by_tracing() -> None:
    """It fails as soon as it is run without a trace."""

    def run(_launch: object, tests: Sequence[str], *_: object, **how: Any) -> list[Outcome]:
        return [Outcome(test, "passed" if "tracing" in how else "failed") for test in tests]

    [result] = replay(run, [failure("test_bad")], [BAD])
    assert result.statements == (
        "passed when rerun with tracing, but failed without it: flaky, or "
        "dependent on sys.settrace",
    )


def test_time_for_neighbours(child: Child) -> None:
    others = [finished(f"test_{number}", seconds=1.0) for number in range(4)]
    replay(child, [failure("test_bad")], [BAD, *others, finished("test_quick")], seconds=9.9)
    assert len(child.runs[0]) == 3
    assert "test_a.py::test_quick" in child.runs[0]


def test_failing_tests_run_twice() -> None:
    """Once before their neighbours, and once after them."""
    traced: list[Any] = []

    def run(_launch: object, tests: Sequence[str], *_: object, **how: Any) -> list[Outcome]:
        traced.append(how["tracing"])
        return [Outcome(test, "failed") for test in tests]

    replay(run, [failure("test_bad")], [BAD, finished("test_one")])
    assert traced[0].twice == {"test_a.py::test_bad"}
    assert 0 < traced[0].until - time.time() <= 20 * NEIGHBOURS_SHARE


def victim_after(*names: str) -> Child:
    """Return a child in which the test `victim` fails if all of `names` ran before it."""

    def outcome(test: str, tests: Sequence[str]) -> str:
        before = tests[: tests.index(test)]
        is_broken = all(f"test_a.py::{name}" in before for name in names)
        return "failed" if "victim" in test and is_broken else "passed"

    return Child(outcome)


@pytest.mark.parametrize(
    ("needed", "statement", "order"),
    [
        (
            ("guilty",),
            "passes alone and fails after test_a.py::guilty: dependent on the order",
            ("test_a.py::guilty", "test_a.py::victim"),
        ),
        (
            ("n1", "n6"),
            "passes alone and fails after the 8 tests before it: dependent on the order",
            None,
        ),
        (
            ("nobody",),
            "passed when rerun, alone and in the order that had failed: flaky",
            (),
        ),
    ],
    ids=["one", "several", "flaky"],
)
def test_order_dependence(
    needed: tuple[str, ...], statement: str, order: tuple[str, ...] | None
) -> None:
    names = ["n0", "n1", "n2", "guilty", "n4", "n5", "n6", "n7"]
    tests = [*map(finished, names), finished("victim", "failed"), finished("later")]
    [result] = replay(victim_after(*needed), [failure("victim")], tests)
    assert result.statements == (statement,)
    if order is not None:
        assert result.order == order


def test_order_within_worker() -> None:
    tests = [
        finished("guilty", worker="gw1"),
        finished("other", worker="gw0"),
        finished("victim", "failed", worker="gw0"),
    ]
    [result] = replay(victim_after("guilty"), [failure("victim")], tests)
    assert result.statements[0].endswith("flaky")
