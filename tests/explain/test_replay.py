"""Which tests are run again for a cause, and what that says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain import replay as module
from pytest_starcoder.explain.case import Changes, cases
from pytest_starcoder.explain.causes import causes
from pytest_starcoder.explain.editable import Conventions
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.replay import FAILING, NEIGHBOURS, Replay, all_tests, replay
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest, Outcome
from pytest_starcoder.source.sources import Sources

LAUNCH = Launch(Path("/"), Path("/"))


def failure(name: str, line: int = 3, path: str = "shop.py", **more: str) -> Failure:
    return Failure(
        f"test_a.py::{name}",
        "call",
        "KeyError",
        "",
        "",
        (Frame(path, line, "f", 1, "x\nx\nx"),),
        **more,
    )  # type: ignore[arg-type]


def ran(name: str, outcome: str = "passed", seconds: float = 0.01, **more: object) -> FinishedTest:
    return FinishedTest(name if "::" in name else f"test_a.py::{name}", outcome, seconds, **more)  # type: ignore[arg-type]


class Child:
    """Stands for the child: every test has the outcome that it is said to have, and what is run is kept."""

    def __init__(
        self, outcome: Callable[[str, Sequence[str]], str] = lambda _test, _tests: "failed"
    ) -> None:
        self.runs: list[list[str]] = []
        self.outcome = outcome

    def __call__(
        self, _launch: object, tests: Sequence[str], *_: object, **__: object
    ) -> list[Outcome]:
        self.runs.append(list(tests))
        return [Outcome(test, self.outcome(test, tests), exception="KeyError") for test in tests]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    found = Child(lambda test, _tests: "failed" if "bad" in test else "passed")
    monkeypatch.setattr(module, "rerun", found)
    return found


def replayed(failures: Sequence[Failure], tests: Sequence[FinishedTest]) -> list[Replay]:
    return replay(
        causes(failures), tests, LAUNCH, Deadline.after(20), lambda _path: "from shop import f"
    )


def test_a_failing_test_is_run_with_its_neighbours_and_that_is_said(child: Child) -> None:
    [found] = replayed(
        [failure("test_bad")], [ran("test_bad", "failed"), ran("test_one"), ran("test_two")]
    )
    assert child.runs == [["test_a.py::test_bad", "test_a.py::test_one", "test_a.py::test_two"]]
    assert found.statements == ("failed again when it was run again; 2 neighbours passed",)
    assert all_tests([found]) == 3


def test_slow_marked_and_failed_tests_are_no_neighbours(child: Child) -> None:
    others = [
        ran("slow", seconds=9),
        ran("marked", allowed=False),
        ran("other_bad", "failed"),
        ran("skipped", "skipped"),
    ]
    replayed([failure("test_bad")], [ran("test_bad", "failed"), *others])
    assert child.runs == [["test_a.py::test_bad"]]


@pytest.mark.parametrize(
    "test", [ran("test_bad", "failed", 9), ran("test_bad", "failed", allowed=False)]
)
def test_a_cause_whose_tests_may_not_be_run_again_has_no_replay(
    child: Child, test: FinishedTest
) -> None:
    assert replayed([failure("test_bad")], [test, ran("test_one")]) == [Replay()]
    assert child.runs == []


def test_a_test_that_ended_a_worker_is_not_run_again(child: Child) -> None:
    crashed = Failure(
        "test_a.py::test_bad",
        "call",
        "failure",
        "worker 'gw1' crashed while running 'test_a.py::test_bad'",
        "",
    )
    assert replayed([crashed], [ran("test_bad", "failed")]) == [Replay()]
    assert child.runs == []


def test_of_many_failing_tests_some_are_run(child: Child) -> None:
    names = [f"test_bad[{number}]" for number in range(40)]
    [found] = replayed([failure(name) for name in names], [ran(name, "failed") for name in names])
    assert len(child.runs[0]) == FAILING
    assert child.runs[0][0] == "test_a.py::test_bad[0]"
    assert found.statements == ("4 tests failed again",)


def test_the_nearest_neighbours_are_run_first_and_no_more_than_allowed(child: Child) -> None:
    tests = [ran(f"test_{number}") for number in range(200)]
    tests[100] = ran("test_100_bad", "failed")
    replayed([failure("test_100_bad")], tests)
    assert set(child.runs[0][1:3]) == {"test_a.py::test_99", "test_a.py::test_101"}
    assert len(child.runs[0]) <= 1 + NEIGHBOURS


def test_tests_of_other_files_that_name_the_module_are_neighbours(child: Child) -> None:
    replayed([failure("test_bad")], [ran("test_bad", "failed"), ran("test_b.py::test_other")])
    assert child.runs[0][1:] == ["test_b.py::test_other"]


def test_the_order_in_which_tests_ran_does_not_matter(child: Child) -> None:
    tests = [ran("test_bad", "failed"), *(ran(f"test_{number}") for number in range(50))]
    for order in (tests, tests[::-1], sorted(tests, key=lambda test: hash(test.nodeid))):
        replayed([failure("test_bad")], order)
    assert child.runs[0] == child.runs[1] == child.runs[2]


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (0.0, "it had not ended when the seconds of replay_timeout were over"),
        (20.0, "pytest ended before it had"),
    ],
    ids=["time-out", "end"],
)
def test_a_run_without_outcome_is_said(
    monkeypatch: pytest.MonkeyPatch, seconds: float, reason: str
) -> None:
    monkeypatch.setattr(module, "rerun", lambda *_, **__: [])
    tests = [ran("test_bad", "failed")]
    [found] = replay(
        causes([failure("test_bad")]), tests, LAUNCH, Deadline.after(seconds), lambda _path: ""
    )
    assert found.statements == (f"test_a.py::test_bad could not be run again: {reason}",)


def test_another_exception_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module,
        "rerun",
        lambda *_, **__: [Outcome("test_a.py::test_bad", "failed", exception="OSError")],
    )
    [found] = replayed([failure("test_bad")], [ran("test_bad", "failed")])
    assert found.statements == ("failed again when it was run again, this time with OSError",)


def after(*needed: str) -> Callable[[str, Sequence[str]], str]:
    """The test `victim` fails where all of `needed` ran before it."""

    def outcome(test: str, tests: Sequence[str]) -> str:
        before = list(tests)[: list(tests).index(test)]
        return (
            "failed"
            if "victim" in test and all(f"test_a.py::{name}" in before for name in needed)
            else "passed"
        )

    return outcome


@pytest.mark.parametrize(
    ("needed", "told", "order"),
    [
        (
            ("guilty",),
            "passes alone and fails after test_a.py::guilty: dependent on the order",
            ("guilty", "victim"),
        ),
        (
            ("n1", "n6"),
            "passes alone and fails after the 8 tests before it: dependent on the order",
            None,
        ),
        (
            ("nobody",),
            "passed when it was run again, alone and in the order that had failed: flaky",
            (),
        ),
    ],
)
def test_a_test_that_passes_now_is_proven_to_depend_on_the_order_or_called_flaky(
    monkeypatch: pytest.MonkeyPatch,
    needed: tuple[str, ...],
    told: str,
    order: tuple[str, ...] | None,
) -> None:
    monkeypatch.setattr(module, "rerun", Child(after(*needed)))
    names = ["n0", "n1", "n2", "guilty", "n4", "n5", "n6", "n7"]
    [found] = replayed(
        [failure("victim")], [*map(ran, names), ran("victim", "failed"), ran("later")]
    )
    assert found.statements == (told,)
    if order is not None:
        assert found.order == tuple(f"test_a.py::{name}" for name in order)


def test_only_tests_of_the_same_worker_ran_before(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(after("guilty"))
    monkeypatch.setattr(module, "rerun", child)
    tests = [
        ran("guilty", worker="gw1"),
        ran("other", worker="gw0"),
        ran("victim", "failed", worker="gw0"),
    ]
    [found] = replayed([failure("victim")], tests)
    assert found.statements[0].endswith("flaky")


# --- causes that turn out to be one ---


class NoHistory:
    def changed(self) -> dict[str, set[int]]:
        return {"shop.py": {3}}

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        return "main", {"shop.py": {2, 3}}

    def blamed(self, _path: str) -> dict[int, tuple[str, float]]:
        return {1: ("1f3c9ab", 1000.0), 4: ("0000001", 1.0)}


def test_assertions_on_one_function_with_one_prime_suspect_are_one_cause() -> None:
    found = [
        Cause((failure(name, line, asserted="shop.py:1"),)) for name, line in (("test_one", 1), ("test_two", 2))
    ]  # fmt: skip
    runs = [
        Replay((Outcome("n", "failed", lines={"shop.py": frozenset({number})}),))
        for number in (3, 3)
    ]
    sources, conventions = (
        Sources(lambda _path: "a = b\nc = d\ne = f + 1\n"),
        Conventions(frozenset({"test_a.py"})),
    )
    together = cases(found, runs, sources, NoHistory(), conventions)  # type: ignore[arg-type]
    assert [case.cause.nodeids for case in together] == [
        ("test_a.py::test_one", "test_a.py::test_two")
    ]
    assert together[0].replay.statements == ("2 tests failed again when they were run again",)
    apart = [runs[0], Replay((Outcome("n", "failed", lines={"shop.py": frozenset({1})}),))]
    assert len(cases(found, apart, sources, NoHistory(), conventions)) == 2  # type: ignore[arg-type]


def test_what_git_tells_of_a_line() -> None:
    changes = Changes(NoHistory(), now=lambda: 1000.0 + 2 * 86_400)  # type: ignore[arg-type]
    assert changes.reason(("shop.py", 3)) == "changed since the last commit"
    assert changes.reason(("shop.py", 2)) == "changed since main"
    assert changes.reason(("shop.py", 1)) == "changed 2 days ago, 1f3c9ab"
    assert changes.reason(("shop.py", 9)) == ""
    assert changes.told({("shop.py", 3), ("shop.py", 1)}) == (
        "changed since the last commit and executed: shop.py:3",
    )
    assert changes.told({("shop.py", 2)}) == ("changed since main and executed: shop.py:2",)
    assert changes.told({("shop.py", 1)}) == ()
    ages = changes.ages(["shop.py"])
    assert (ages["shop.py", 3], ages["shop.py", 2]) == (1.0, 0.5)
    assert 0 < ages["shop.py", 1] <= 0.25
