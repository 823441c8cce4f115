"""The earlier tests that a failure depends on, and the state that they leave changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_starcoder.culprit.order import Order, OrderSearch
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.replay import Replay, order_statement, with_order
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.trials import SessionRun
from pytest_starcoder.runner.worker_messages import ChangedState, Record

DEFAULTS = ChangedState("DEFAULTS", "flags.py")
IMPORTED = ChangedState("DEFAULTS", "test_flags.py")
MODE = ChangedState("os.environ['MODE']", "")

EARLIER = tuple(f"test_a.py::test_{number}" for number in range(12))
VICTIM = "test_a.py::test_victim"


def record(nodeid: str, *, failed: bool) -> Record:
    if failed:
        return Record(nodeid, "failed", 0.01, "AssertionError", "test_a.py:9", "", "test_victim")
    return Record(nodeid, "passed", 0.01)


class Sessions:
    """Stands in for the worker: `fails` says whether the victim fails after these tests."""

    def __init__(
        self,
        fails: Callable[[Sequence[str]], bool],
        changed: Sequence[ChangedState] = (),
        culprits: Sequence[ChangedState] = (),
    ) -> None:
        self.runs: list[list[str]] = []
        self._fails = fails
        self._changed = tuple(changed)
        self._culprits = frozenset(culprits)

    def run_session(
        self,
        limits: Mapping[str, float],
        restored: Sequence[tuple[ChangedState, ...]] = ((),),
        *,
        reports_state: bool = False,
    ) -> list[SessionRun]:
        *earlier, victim = limits
        self.runs.append(earlier)
        runs = []
        for states in restored:
            is_restored = not self._culprits.isdisjoint(states)
            failed = self._fails(earlier) and not is_restored
            records = [record(test, failed=False) for test in earlier]
            changed = self._changed if reports_state else ()
            runs.append(SessionRun((*records, record(victim, failed=failed)), changed))
        return runs


class Afresh:
    """Stands in for a new process; the victim fails after these tests if `fails` says so."""

    def __init__(self, fails: Callable[[Sequence[str]], bool]) -> None:
        self.runs: list[list[str]] = []
        self._fails = fails

    def __call__(self, tests: Sequence[str]) -> list[Outcome]:
        *earlier, victim = tests
        self.runs.append(earlier)
        outcomes = [Outcome(test, "passed", lines={"flags.py": frozenset({3})}) for test in earlier]
        outcome: Any = "failed" if self._fails(earlier) else "passed"
        return [*outcomes, Outcome(victim, outcome, lines={"flags.py": frozenset({8})})]


def find(sessions: Sessions, afresh: Afresh, seconds: float = 20.0) -> Order:
    limits = dict.fromkeys((*EARLIER, VICTIM), 1.0)
    texts = {"flags.py": "DEFAULTS = {}\n", "test_flags.py": "from flags import DEFAULTS\n"}
    search = OrderSearch(sessions, limits, afresh, texts.__getitem__, Deadline.after(seconds))
    return search.find(VICTIM, EARLIER)


def needs(*indices: int) -> Callable[[Sequence[str]], bool]:
    return lambda tests: {EARLIER[index] for index in indices} <= set(tests)


@pytest.mark.parametrize("indices", [(7,), (0,), (2, 9), (0, 5, 11)])
def test_shortest_list(indices: tuple[int, ...]) -> None:
    fails = needs(*indices)
    afresh = Afresh(fails)
    order = find(Sessions(fails), afresh)
    assert order.after == tuple(EARLIER[index] for index in indices)
    assert afresh.runs == [list(order.after)]
    assert order.executed == {"flags.py": frozenset({3, 8})}


def test_state_that_is_needed() -> None:
    fails = needs(3)
    sessions = Sessions(fails, [MODE, DEFAULTS], [DEFAULTS])
    assert find(sessions, Afresh(fails)).state == "DEFAULTS in flags.py"


def test_shared_state_is_named_where_it_is_defined() -> None:
    fails = needs(3)
    states = [IMPORTED, DEFAULTS]
    assert find(Sessions(fails, states, states), Afresh(fails)).state == "DEFAULTS in flags.py"


def test_state_of_the_process() -> None:
    fails = needs(3)
    assert find(Sessions(fails, [MODE], [MODE]), Afresh(fails)).state == "os.environ['MODE']"


def test_state_that_makes_no_difference() -> None:
    fails = needs(3)
    assert find(Sessions(fails, [MODE, DEFAULTS]), Afresh(fails)).state == ""


def test_other_order_in_a_new_process() -> None:
    """A list that is confirmed by nothing is not shown: the known one is."""
    order = find(Sessions(needs(3)), Afresh(needs(3, 4)))
    assert (order.after, order.record) == (EARLIER, None)


def test_not_reproduced_in_the_sandbox() -> None:
    order = find(Sessions(lambda _tests: False), Afresh(needs(2, 3)))
    assert (order.after, order.record) == ((EARLIER[2], EARLIER[3]), None)


def test_failure_by_chance() -> None:
    outcomes = iter([True, False, True, True, True, False])
    sessions = Sessions(lambda _tests: next(outcomes, False))
    assert find(sessions, Afresh(needs(0))).after == ()


def test_no_time() -> None:
    sessions = Sessions(needs(3))
    assert find(sessions, Afresh(needs(3)), seconds=0) == Order(EARLIER)
    assert sessions.runs == []


# --- texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "state", "expected"),
    [
        (("a.py::t",), "", "after a.py::t"),
        (("a.py::t",), "X in a.py", "after a.py::t: it leaves X in a.py changed"),
        (
            ("a.py::t", "a.py::u"),
            "X in a.py",
            "after a.py::t and a.py::u: together they leave X in a.py changed",
        ),
        (("a.py::t",) * 4, "", "after the 4 tests before it"),
        ((), "", ""),
    ],
)
def test_sentence(after: tuple[str, ...], state: str, expected: str) -> None:
    assert Breakage(after=after, state=state).order == expected


def test_shorter_order_in_the_replay() -> None:
    statements = (order_statement(EARLIER), "another")
    replay = with_order(Replay(statements=statements, order=(*EARLIER, VICTIM)), EARLIER[:1])
    assert replay.order == (EARLIER[0], VICTIM)
    assert replay.statements == (order_statement(EARLIER[:1]), "another")


# --- whole runs ----------------------------------------------------------------------------

BARE = (
    "--starcoder-explain",
    "--starcoder-backend=none",
    "--starcoder-report=out.json",
)

GENEROUS = {"STARCODER_UNDO_TIMEOUT": "100", "STARCODER_REPLAY_TIMEOUT": "100"}
"""Time-outs for a busy machine."""
