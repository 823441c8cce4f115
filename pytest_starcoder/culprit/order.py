"""Finds the earlier tests that make a test fail, and the state that they change."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_starcoder.culprit.bench import OutOfTime, is_same_failure
from pytest_starcoder.culprit.search import minimize
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.outcome import Lines, Outcome
from pytest_starcoder.runner.trials import SessionRun
from pytest_starcoder.runner.worker_messages import ChangedState, Record

REPEATS = 2
"""How often the result is checked, to tell a dependence on the order from chance."""

MAX_NAMED_STATES = 2
"""Maximum number of changed objects that are named, if all are needed."""


class Sessions(Protocol):
    """The part of `Trials` that runs tests one after another."""

    def run_session(
        self,
        limits: Mapping[str, float],
        restored: Sequence[tuple[ChangedState, ...]] = ((),),
        *,
        reports_state: bool = False,
    ) -> Sequence[SessionRun]: ...


@dataclass(frozen=True)
class Order:
    """The shortest list of earlier tests after which a test fails, in their order.

    If there are none, the test fails by chance. `state` names what they leave changed, if restoring
    it makes the test pass. `record` is that of the test in the worker, and None if it does not
    fail there. `executed` are the lines that all of these tests run.
    """

    after: tuple[str, ...]
    state: str = ""
    record: Record | None = None
    executed: Lines = field(default_factory=dict)


class OrderSearch:
    """Shortens a list of earlier tests after which a test fails.

    `limits` are those of all tests, in seconds of processor time. `run_afresh` runs tests in a
    process of their own, traced. `read` returns the text of a file by its path.
    """

    def __init__(
        self,
        sessions: Sessions,
        limits: Mapping[str, float],
        run_afresh: Callable[[Sequence[str]], Sequence[Outcome]],
        read: Callable[[str], str],
        deadline: Deadline,
    ) -> None:
        self._sessions = sessions
        self._limits = limits
        self._run_afresh = run_afresh
        self._read = read
        self._deadline = deadline

    def find(self, test: str, earlier: Sequence[str]) -> Order:
        """Return the order that fails; `test` passes alone and has failed after `earlier`."""
        before = self._failing_record(test, earlier)
        if before is None:
            # In the sandbox it does not depend on them, or it does not pass alone.
            shortest = self._shorten(earlier, lambda tests: self._fails_afresh(test, tests))
            return Order(shortest)

        def fails_after(tests: Sequence[str]) -> bool:
            record = self._record(test, tests)
            return record is not None and is_same_failure(record, before)

        shortest = self._shorten(earlier, fails_after)
        try:
            for _ in range(REPEATS):
                if not fails_after(shortest) or self._fails(test, ()):
                    return Order(())
            state = self._state(test, shortest)
        except OutOfTime:
            state = ""
        outcomes = self._run_afresh([*shortest, test])
        if self._deadline.remaining() > 0 and not _has_failed(test, outcomes):
            return Order(tuple(earlier))
        return Order(shortest, state, before, _executed(outcomes))

    def _failing_record(self, test: str, earlier: Sequence[str]) -> Record | None:
        """Return the record of the test after the others; None if it does not depend on them."""
        try:
            record = self._record(test, earlier)
            is_dependent = record is not None and record.outcome == "failed"
            return record if is_dependent and not self._fails(test, ()) else None
        except OutOfTime:
            return None

    def _shorten(
        self, earlier: Sequence[str], fails_after: Callable[[Sequence[str]], bool]
    ) -> tuple[str, ...]:
        """Return the shortest list that still makes the test fail, as far as there is time."""
        shortest = tuple(earlier)

        def passes(tests: frozenset[str]) -> bool:
            nonlocal shortest
            candidate = tuple(each for each in earlier if each in tests)
            does_fail = fails_after(candidate)
            if does_fail and len(candidate) < len(shortest):
                shortest = candidate
            return does_fail

        with contextlib.suppress(OutOfTime):
            # The tests right before it are the most likely ones.
            minimize(list(reversed(earlier)), passes)
        return shortest

    def _fails(self, test: str, earlier: Sequence[str]) -> bool:
        record = self._record(test, earlier)
        return record is not None and record.outcome != "passed"

    def _record(self, test: str, earlier: Sequence[str]) -> Record | None:
        [run] = self._run(test, earlier)
        return _last(test, run)

    def _run(
        self,
        test: str,
        earlier: Sequence[str],
        restored: Sequence[tuple[ChangedState, ...]] = ((),),
        *,
        reports_state: bool = False,
    ) -> Sequence[SessionRun]:
        self._check_time()
        limits = {each: self._limits[each] for each in (*earlier, test)}
        return self._sessions.run_session(limits, restored, reports_state=reports_state)

    def _fails_afresh(self, test: str, earlier: Sequence[str]) -> bool:
        self._check_time()
        return _has_failed(test, self._run_afresh([*earlier, test]))

    def _check_time(self) -> None:
        if self._deadline.remaining() <= 0:
            raise OutOfTime

    # --- state -----------------------------------------------------------------------------

    def _state(self, test: str, earlier: Sequence[str]) -> str:
        """Return what the earlier tests leave changed; empty unless the test passes without."""
        [run] = self._run(test, earlier, reports_state=True)
        changed = sorted(run.changed, key=self._distance)

        def passes(states: frozenset[ChangedState]) -> bool:
            [run] = self._run(test, earlier, [tuple(states)])
            record = _last(test, run)
            return record is not None and record.outcome == "passed"

        if not changed or not passes(frozenset(changed)):
            return ""
        needed = minimize(changed, passes)
        if len(needed) > MAX_NAMED_STATES:
            return ""
        return " and ".join(state.text for state in changed if state in needed)

    def _distance(self, state: ChangedState) -> int:
        """Return how far a state is from its definition: modules may share an object by import."""
        if not state.path:
            return 2
        is_name = state.name.isidentifier()
        pattern = rf"^{re.escape(state.name)}\s*[:=]"
        is_defined = not is_name or re.search(pattern, self._read(state.path), re.MULTILINE)
        return 0 if is_defined else 1


def _last(test: str, run: SessionRun) -> Record | None:
    return next((record for record in run.records if record.nodeid == test), None)


def _has_failed(test: str, outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.nodeid == test and outcome.failed for outcome in outcomes)


def _executed(outcomes: Sequence[Outcome]) -> dict[str, frozenset[int]]:
    executed: dict[str, frozenset[int]] = {}
    for outcome in outcomes:
        for lines in (outcome.imported, outcome.lines):
            for path, numbers in lines.items():
                executed[path] = executed.get(path, frozenset()) | numbers
    return executed
