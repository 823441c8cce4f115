"""Searches for edits with which failing tests pass, by trying them.

Candidates run against the failing tests and their passing neighbours. Those that pass are
compared by their behaviour, and one of each behaviour is confirmed in a fresh pytest process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.fix.candidates import (
    PricedEdits,
    paired_edits,
    rank_lines,
    single_edits,
    sorting_key,
)
from pytest_starcoder.fix.comparison import (
    ObservedEdits,
    find_question,
    simplest_of_each_behaviour,
)
from pytest_starcoder.fix.laboratory import Bench, Laboratory
from pytest_starcoder.fix.places import Places
from pytest_starcoder.runner.fixes import NO_FIXES, Fix, Fixes
from pytest_starcoder.runner.messages import Checks, Input, Record
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.trials import (
    MIN_TEST_SECONDS,
    SLOWDOWN,
    Edits,
    Trial,
    Unavailable,
)
from pytest_starcoder.source.diff import changed_lines, make_diff
from pytest_starcoder.source.edits import EXTENDED, apply_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import line_of
from pytest_starcoder.source.sources import SourceFiles

MAX_FIXES = 3
"""Fixes to report, each with another behaviour."""

MAX_FAILING = 8
"""Failing tests that each candidate must make pass."""

MAX_RELATED = 24
"""Further failing tests that are run with candidates that pass."""

MAX_CONFIRMED_TESTS = 200
"""Tests of the cause that a fix is confirmed with."""

MAX_COMPARED = 40
"""Passing candidates that are compared by their behaviour."""

SEARCH_SHARE = 0.75
"""Share of the time that may pass before the confirmation begins."""

PARTIAL_FIX_SHARE = 0.7
"""Share of the search time that must remain to go on after a fix that related tests fail with."""

COST_WINDOW = 1.5
"""Extra cost up to which the search goes on after a fix, to learn if it is the only one."""

CHUNK_SIZE = 256
"""Candidates between two looks at the clock."""

IMPORT_SECONDS = 4.0
"""Time for edits that import the project anew, before costlier ones inside functions."""

BASELINE_SECONDS = 5.0
"""Limit of one test without edits, in seconds of processor time."""


@dataclass(frozen=True)
class Suite:
    """The tests of the session: all in their `order`, and those that must still pass.

    `fast` tests are run with every promising candidate, `confirming` ones with every fix.
    """

    order: Sequence[str]
    fast: Sequence[str] = ()
    confirming: Sequence[str] = ()


@dataclass(frozen=True)
class Query:
    """The cause to fix, and where.

    A fix with which the `related` failing tests pass too is more likely to be right.
    `earlier_fixes` of other causes are tried first. If there are `proposed` edits, by `model`,
    only those are tried.
    """

    case: Case
    places: Places
    related: Sequence[str] = ()
    earlier_fixes: Sequence[Fix] = ()
    proposed: Sequence[Edit] | None = None
    model: str = ""


class PassingEdits(NamedTuple):
    """A candidate that passes, and how many of the related tests pass with it."""

    candidate: PricedEdits
    related: int


class EditSearch:
    """Finds the fixes of one cause after another."""

    def __init__(
        self,
        laboratory: Laboratory,
        sources: SourceFiles,
        suite: Suite,
        show_progress: Callable[[int], None] = lambda tried: None,
    ) -> None:
        self._laboratory = laboratory
        self._sources = sources
        self._suite = suite
        self._show_progress = show_progress

    def find(self, query: Query, deadline: Deadline) -> Fixes:
        """Return the fixes found until the deadline, or a note why there are none."""
        started = time.monotonic()
        failing = _by_duration(query.case.replay.failing)
        neighbours = _by_duration(query.case.replay.passing)
        if not failing or not rank_lines(query.case, query.places):
            return NO_FIXES
        near = {*failing, *neighbours}
        related = [nodeid for nodeid in query.related[:MAX_RELATED] if nodeid not in near]
        fast = [nodeid for nodeid in self._suite.fast if nodeid not in {*near, *related}]
        tests = [*failing, *neighbours, *fast, *related]
        search_deadline = Deadline.after(deadline.remaining() * SEARCH_SHARE, deadline.setting)
        try:
            with self._laboratory.open_bench(tests, search_deadline) as bench:
                baseline = bench.baseline(tests, BASELINE_SECONDS)
                failing_limits = _limits(failing, baseline, "failed", "overtime")
                attempt = _Attempt(
                    query,
                    self._sources,
                    bench,
                    Checks(
                        dict(islice(failing_limits.items(), MAX_FAILING)),
                        # Neighbours first: they are more likely to fail.
                        _limits([*neighbours, *fast], baseline, "passed"),
                    ),
                    _limits(related, baseline, "failed"),
                    search_deadline,
                    self._show_progress,
                )
                fixes = self._search(attempt, deadline)
        except Unavailable as exc:
            return Fixes(note=str(exc))
        except OSError as exc:
            return Fixes(note=f"no process could be started: {exc}")
        return replace(fixes, seconds=time.monotonic() - started)

    def _search(self, attempt: _Attempt, deadline: Deadline) -> Fixes:
        """Confirm one fix of each behaviour, and find an input that tells the first two apart."""
        if not attempt.checks.failing:
            return Fixes(note="the failure does not occur in the sandbox where changes are tried")
        with contextlib.suppress(KeyboardInterrupt):  # report what was found
            attempt.run()
        # Others that are as simple may not have been tried.
        is_complete = attempt.deadline.remaining() > 0
        inputs, candidates = attempt.observe_best()
        is_only_one = len(candidates) == 1 and bool(inputs) and is_complete
        confirmed, fixes = [], []
        for candidate in candidates:
            fix = self._confirm(candidate.edits, attempt, deadline, is_only_one)
            if fix is not None:
                confirmed.append(candidate)
                fixes.append(fix)
            if len(fixes) == MAX_FIXES:
                break
        note = ""
        if candidates and not fixes:
            note = "no change that passed passes again with all tests in their original order"
        question = find_question(inputs, confirmed)
        return Fixes(
            tuple(fixes),
            question.call,
            question.outcomes,
            question.tests,
            attempt.tried,
            note=note,
            level=str(attempt.bench.level),
        )

    def _confirm(
        self, edits: Edits, attempt: _Attempt, deadline: Deadline, is_only_one: bool
    ) -> Fix | None:
        """Run all tests with the edits in their original order.

        Return the fix if all checks pass again, and at least half of the cause's tests.
        """
        checks, query = attempt.checks, attempt.query
        cause = query.case.cause.nodeids[:MAX_CONFIRMED_TESTS]
        passing = tuple(dict.fromkeys([*checks.passing, *self._suite.confirming]))
        positions = {nodeid: position for position, nodeid in enumerate(self._suite.order)}
        tests = sorted(
            {*cause, *checks.failing, *passing},
            key=lambda nodeid: (positions.get(nodeid, len(positions)), nodeid),
        )
        passed = self._laboratory.run(tests, edits, deadline)
        still_failing = tuple(nodeid for nodeid in cause if nodeid not in passed)
        if not passed >= {*checks.failing, *passing} or len(still_failing) > len(cause) / 2:
            return None
        fixed = tuple(nodeid for nodeid in tests if nodeid in passed - {*passing})
        fix = self._describe(edits, fixed, passing)
        return replace(
            fix,
            checked=is_only_one and not still_failing and not query.model,
            level=str(attempt.bench.level),
            model=query.model,
            still=still_failing,
        )

    def _describe(self, edits: Edits, failing: tuple[str, ...], passing: tuple[str, ...]) -> Fix:
        first = min(edits, key=lambda edit: (edit.path, edit.span))
        diff = self._diff(edits)
        lines = changed_lines(diff)
        removed = [line[1:] for line in lines if line.startswith("-")]
        added = [line[1:] for line in lines if line.startswith("+")]
        return Fix(
            edits=edits,
            diff=diff,
            path=first.path,
            line=first.line,
            before="\n".join(removed) or line_of(self._sources(first.path), first.line),
            after="\n".join(added),
            failing=failing,
            passing=passing,
            checked=False,
            special=_is_special(edits),
        )

    def _diff(self, edits: Edits) -> str:
        diff = ""
        names = self._laboratory.names_in_diff(edit.path for edit in edits)
        for path, name in names.items():
            before = self._sources(path)
            after = apply_edits(before, [edit for edit in edits if edit.path == path])
            diff += make_diff(before, after, name)
        return diff


@dataclass
class _Attempt:
    """Tries candidates for one query, and collects those that pass."""

    query: Query
    sources: SourceFiles
    bench: Bench
    checks: Checks
    related: Mapping[str, float]
    deadline: Deadline
    show_progress: Callable[[int], None]
    tried: int = 0
    passing: list[PassingEdits] = field(default_factory=list)
    outside_functions: list[PricedEdits] = field(default_factory=list)
    """Candidates that can only be tried by importing the project anew."""

    def run(self) -> None:
        """Try candidates until some fix them all, or time runs out."""
        allow = self.query.places.allow
        earlier = [
            PricedEdits(0.0, fix.edits)
            for fix in self.query.earlier_fixes
            if all(map(allow, fix.edits))
        ]
        self._try(earlier)
        if self.passing:
            return
        for _ in self._stages():
            if self._is_satisfied() or self.deadline.remaining() <= 0:
                return

    def observe_best(self) -> tuple[list[Input], list[ObservedEdits]]:
        """Return inputs, and the simplest edits of each behaviour, the likeliest first.

        Only edits with which most related tests pass are compared.
        """
        if not self.passing:
            return [], []
        most = max(passing.related for passing in self.passing)
        best = [passing for passing in self.passing if passing.related == most]
        best.sort(
            key=lambda passing: (
                _is_special(passing.candidate.edits),
                sorting_key(passing.candidate),
            )
        )
        candidates = [passing.candidate for passing in best[:MAX_COMPARED]]
        edits = [candidate.edits for candidate in candidates]
        inputs, behaviours = self.bench.observe(edits, self.checks)
        observed = []
        for candidate, outcomes in zip(candidates, behaviours, strict=True):
            observed.append(ObservedEdits(candidate.edits, candidate.cost, outcomes))
        return inputs, simplest_of_each_behaviour(observed)

    def _is_satisfied(self) -> bool:
        """Return whether a fix covers all related tests, or is partial and time runs short."""
        if not self.passing:
            return False
        most = max(passing.related for passing in self.passing)
        is_late = self.deadline.remaining() < self.deadline.limit * PARTIAL_FIX_SHARE
        return most == len(self.related) or is_late

    def _stages(self) -> Iterator[None]:
        """Try one kind of candidate after another; the search may stop after each."""
        if self.query.proposed is not None:
            allowed = filter(self.query.places.allow, self.query.proposed)
            self._try([PricedEdits(edit.cost, (edit,)) for edit in allowed])
            self._try_outside_functions(self.deadline.remaining())
            return
        singles = single_edits(self.query.case, self.query.places, self.sources, self.deadline)
        plain = [candidate for candidate in singles if candidate.edits[0].cost < EXTENDED]
        self._try(plain)
        yield
        self._try_outside_functions(IMPORT_SECONDS)
        yield
        self._try([candidate for candidate in singles if candidate.edits[0].cost >= EXTENDED])
        yield
        self._try(paired_edits(plain))
        yield
        self._try_outside_functions(self.deadline.remaining())

    def _try(self, candidates: Sequence[PricedEdits]) -> None:
        costs = {candidate.edits: candidate.cost for candidate in candidates}
        for start in range(0, len(candidates), CHUNK_SIZE):
            if self.deadline.remaining() <= 0:
                return
            max_cost = self._max_cost()
            chunk = [
                candidate.edits
                for candidate in candidates[start : start + CHUNK_SIZE]
                if candidate.cost <= max_cost
            ]
            if not chunk:
                return
            # Read to the end first: a related test must not run in between.
            for trial in list(self.bench.try_in_functions(chunk, self.checks)):
                self._note(trial, costs[trial.edits])

    def _try_outside_functions(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.outside_functions.sort(key=sorting_key)
        while self.outside_functions:
            if time.monotonic() >= until or self.deadline.remaining() <= 0:
                return
            candidate = self.outside_functions.pop(0)
            if candidate.cost > self._max_cost():
                return
            for trial in self.bench.try_on_import([candidate.edits], self.checks):
                self._note(trial, candidate.cost)

    def _note(self, trial: Trial, cost: float) -> None:
        if trial.verdict == "unswappable" and len(trial.edits) == 1:
            self.outside_functions.append(PricedEdits(cost, trial.edits))
            return
        self.tried += 1
        self.show_progress(self.tried)
        if trial.verdict == "passes":
            related = 0
            if self.related:
                [records] = self.bench.run_tests([trial.edits], self.related)
                related = sum(record.outcome == "passed" for record in records)
            self.passing.append(PassingEdits(PricedEdits(cost, trial.edits), related))

    def _max_cost(self) -> float:
        """Return the cost up to which candidates are tried, without limit before a full fix."""
        full_fixes = [passing for passing in self.passing if passing.related == len(self.related)]
        costs = [passing.candidate.cost for passing in full_fixes]
        return min(costs, default=float("inf")) + COST_WINDOW


def _by_duration(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.nodeid for outcome in sorted(outcomes, key=lambda outcome: outcome.seconds)]


def _limits(
    tests: Sequence[str], baseline: Mapping[str, Record], *outcomes: str
) -> dict[str, float]:
    """Return the tests that have one of the outcomes without edits, each with its time limit."""
    limits = {}
    for nodeid in tests:
        record = baseline.get(nodeid)
        if record is not None and record.outcome in outcomes:
            extra = 0.0 if record.outcome == "overtime" else SLOWDOWN * record.seconds
            limits[nodeid] = MIN_TEST_SECONDS + extra
    return limits


def _is_special(edits: Sequence[Edit]) -> bool:
    """Return whether a fix inserts a text of the test: it may fit that test only."""
    return any("of the test" in edit.kind for edit in edits)
