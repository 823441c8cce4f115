"""Searches for edits that make failing tests pass, by trying them.

Candidates run against the failing tests and their passing neighbours. Those that pass are
compared by their behaviour, and one of each behaviour is confirmed in a fresh pytest process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.fixes import NO_FIXES, Fix, Fixes
from pytest_starcoder.fix.candidates import (
    PricedEdits,
    paired_edits,
    rank_lines,
    single_edits,
    sorting_key,
)
from pytest_starcoder.fix.edit_sites import Places
from pytest_starcoder.fix.fix_comparison import (
    ObservedEdits,
    find_question,
    simplest_of_each_behaviour,
)
from pytest_starcoder.fix.laboratory import Bench, Laboratory
from pytest_starcoder.fix.old_text import edits_of_old_text
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.trials import (
    MIN_TEST_SECONDS,
    SLOWDOWN,
    Edits,
    Trial,
    Unavailable,
)
from pytest_starcoder.runner.worker_messages import Checks, Input, Record
from pytest_starcoder.source.diff import changed_lines, make_diff
from pytest_starcoder.source.edits import EXTENDED, apply_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import line_of
from pytest_starcoder.source.sources import SourceFiles

MAX_FIXES = 3
"""Fixes to report, no two with the same behaviour."""

MAX_FAILING = 8
"""Failing tests that each candidate must make pass."""

MAX_RELATED = 24
"""Further failing tests that are run with candidates that pass."""

MAX_CONFIRMED_TESTS = 200
"""Tests of the cause that run again to confirm a fix."""

MAX_COMPARED = 40
"""Passing candidates whose behaviour is compared."""

SEARCH_SHARE = 0.75
"""Share of the time for the search; the rest is for the confirmation."""

PARTIAL_FIX_SHARE = 0.7
"""Share of the search time that must remain to look for more than a partial fix."""

COST_WINDOW = 1.5
"""How much costlier than the first fix others may be; they show whether it is the only one."""

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

    A fix that also makes the `related` failing tests pass is more likely to be right.
    `earlier_fixes` of other causes are tried first. If there are edits `proposed` by `model`,
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
        if not query.case.replay.failing:
            return NO_FIXES  # without a failing test, nothing could confirm a fix
        if not rank_lines(query.case, query.places):
            return NO_FIXES
        tests = _TestGroups.of(query, self._suite)
        search_deadline = Deadline.after(deadline.remaining() * SEARCH_SHARE, deadline.setting)
        try:
            with self._laboratory.open_bench(tests.all, search_deadline) as bench:
                attempt = self._prepare(query, tests, bench, search_deadline)
                fixes = self._search(attempt, deadline)
        except Unavailable as exc:
            return Fixes(note=str(exc))
        except OSError as exc:
            return Fixes(note=f"no process could be started: {exc}")
        return replace(fixes, seconds=time.monotonic() - started)

    def _prepare(
        self, query: Query, tests: _TestGroups, bench: Bench, deadline: Deadline
    ) -> _Attempt:
        """Run all tests without edits, which sets their time limits."""
        baseline = bench.baseline(tests.all, BASELINE_SECONDS)
        failing = _limits(tests.failing, baseline, "failed", "overtime")
        checks = Checks(
            dict(islice(failing.items(), MAX_FAILING)),
            # Neighbours first: they are more likely to fail.
            _limits([*tests.neighbours, *tests.fast], baseline, "passed"),
        )
        related = _limits(tests.related, baseline, "failed")
        progress = self._show_progress
        has_run = not baseline.keys().isdisjoint(tests.failing)
        return _Attempt(query, self._sources, bench, checks, related, has_run, deadline, progress)

    def _search(self, attempt: _Attempt, deadline: Deadline) -> Fixes:
        """Confirm one fix of each behaviour, and find an input that tells the first two apart."""
        if not attempt.checks.failing:
            return Fixes(note=_why_nothing_fails(attempt))
        # After Ctrl-C, report the fixes that are known so far.
        with contextlib.suppress(KeyboardInterrupt):
            attempt.run()
        # Out of time, other candidates that are as simple may not have been tried.
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
        tests = self._in_order({*cause, *checks.failing, *passing})
        passed = self._laboratory.run(tests, edits, deadline)
        still_failing = tuple(nodeid for nodeid in cause if nodeid not in passed)
        if not passed.issuperset(checks.failing) or not passed.issuperset(passing):
            return None
        if len(still_failing) > len(cause) / 2:
            return None
        newly_passed = passed.difference(passing)
        fixed = tuple(nodeid for nodeid in tests if nodeid in newly_passed)
        fix = self._describe(edits, fixed, passing)
        return replace(
            fix,
            checked=is_only_one and not still_failing and not query.model,
            level=str(attempt.bench.level),
            model=query.model,
            still=still_failing,
        )

    def _in_order(self, tests: set[str]) -> list[str]:
        """Sort tests as in the session; those that did not run in it come last."""
        order = dict.fromkeys(self._suite.order)
        first = filter(tests.__contains__, order)
        return [*first, *sorted(tests.difference(order))]

    def _describe(self, edits: Edits, failing: tuple[str, ...], passing: tuple[str, ...]) -> Fix:
        first = min(edits, key=lambda edit: (edit.path, edit.span))
        diff = self._diff(edits)
        removed: list[str] = []
        added: list[str] = []
        for line in changed_lines(diff):
            if line.startswith("-"):
                removed.append(line[1:])
            else:
                added.append(line[1:])
        before = "\n".join(removed)
        if not removed:
            # A diff that only adds lines is shown below the line it follows.
            before = line_of(self._sources(first.path), first.line)
        return Fix(
            edits=edits,
            diff=diff,
            path=first.path,
            line=first.line,
            before=before,
            after="\n".join(added),
            failing=failing,
            passing=passing,
            checked=False,
            special=_is_special(edits),
        )

    def _diff(self, edits: Edits) -> str:
        edits_by_file: dict[str, list[Edit]] = {}
        for edit in edits:
            edits_by_file.setdefault(edit.path, []).append(edit)
        diff = ""
        for path, name in self._laboratory.names_in_diff(edits_by_file).items():
            before = self._sources(path)
            diff += make_diff(before, apply_edits(before, edits_by_file[path]), name)
        return diff


@dataclass(frozen=True)
class _TestGroups:
    """The tests of one search, by their part in it; no test is in two groups."""

    failing: Sequence[str]
    neighbours: Sequence[str]
    fast: Sequence[str]
    related: Sequence[str]

    @classmethod
    def of(cls, query: Query, suite: Suite) -> _TestGroups:
        failing = _by_duration(query.case.replay.failing)
        neighbours = _by_duration(query.case.replay.passing)
        near = {*failing, *neighbours}
        related = _without(query.related[:MAX_RELATED], near)
        fast = _without(suite.fast, near.union(related))
        return cls(failing, neighbours, fast, related)

    @property
    def all(self) -> list[str]:
        return [*self.failing, *self.neighbours, *self.fast, *self.related]


@dataclass
class _Attempt:
    """Tries candidates for one query, and collects those that pass.

    `has_run`: at least one failing test finished without edits.
    """

    query: Query
    sources: SourceFiles
    bench: Bench
    checks: Checks
    related: Mapping[str, float]
    has_run: bool
    deadline: Deadline
    show_progress: Callable[[int], None]
    tried: int = 0
    passing: list[PassingEdits] = field(default_factory=list)
    outside_functions: list[PricedEdits] = field(default_factory=list)
    """Candidates that can only be tried by importing the project anew."""

    def run(self) -> None:
        """Try candidates until some fix them all, or time runs out."""
        earlier = []
        for fix in self.query.earlier_fixes:
            if all(map(self.query.places.allow, fix.edits)):
                earlier.append(PricedEdits(0.0, fix.edits))
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
        most = self._most_related()
        best = [passing.candidate for passing in self.passing if passing.related == most]
        # Text of a test may fit that test only, so it goes behind everything else.
        best.sort(key=lambda candidate: (_is_special(candidate.edits), sorting_key(candidate)))
        candidates = best[:MAX_COMPARED]
        edits = [candidate.edits for candidate in candidates]
        inputs, behaviours = self.bench.observe(edits, self.checks)
        observed = []
        for candidate, outcomes in zip(candidates, behaviours, strict=True):
            observed.append(ObservedEdits(candidate.edits, candidate.cost, outcomes))
        return inputs, simplest_of_each_behaviour(observed)

    def _most_related(self) -> int:
        return max(passing.related for passing in self.passing)

    def _is_satisfied(self) -> bool:
        """Return whether a fix covers all related tests, or is partial and time runs short."""
        if not self.passing:
            return False
        is_late = self.deadline.remaining() < self.deadline.limit * PARTIAL_FIX_SHARE
        return self._most_related() == len(self.related) or is_late

    def _stages(self) -> Iterator[None]:
        """Try one kind of candidate after another; the search may stop after each."""
        places = self.query.places
        if self.query.proposed is not None:
            allowed = filter(places.allow, self.query.proposed)
            self._try([PricedEdits(edit.cost, (edit,)) for edit in allowed])
            self._try_outside_functions(self.deadline.remaining())
            return
        old_text = edits_of_old_text(self.query.case.breakage, self.sources)
        self._try([PricedEdits(edit.cost, (edit,)) for edit in filter(places.allow, old_text)])
        plain: list[PricedEdits] = []
        extended: list[PricedEdits] = []
        for candidate in single_edits(self.query.case, places, self.sources, self.deadline):
            if candidate.edits[0].cost < EXTENDED:
                plain.append(candidate)
            else:
                extended.append(candidate)
        self._try(plain)
        yield
        self._try_outside_functions(IMPORT_SECONDS)
        yield
        self._try(extended)
        yield
        self._try(paired_edits(plain))
        yield
        self._try_outside_functions(self.deadline.remaining())

    def _try(self, candidates: Sequence[PricedEdits]) -> None:
        """Try candidates, sorted by cost, until they cost more than a fix is worth."""
        for start in range(0, len(candidates), CHUNK_SIZE):
            if self.deadline.remaining() <= 0:
                return
            max_cost = self._max_cost()
            costs = {}
            for candidate in candidates[start : start + CHUNK_SIZE]:
                if candidate.cost <= max_cost:
                    costs[candidate.edits] = candidate.cost
            if not costs:
                return
            # Read to the end first: a related test must not run in between.
            for trial in list(self.bench.try_in_functions(list(costs), self.checks)):
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
        candidate = PricedEdits(cost, trial.edits)
        if trial.verdict == "unswappable" and len(trial.edits) == 1:
            self.outside_functions.append(candidate)
            return
        self.tried += 1
        self.show_progress(self.tried)
        if trial.verdict == "passes":
            self.passing.append(PassingEdits(candidate, self._count_related(trial.edits)))

    def _count_related(self, edits: Edits) -> int:
        """Return how many related tests pass with the edits."""
        if not self.related:
            return 0
        [records] = self.bench.run_tests([edits], self.related)
        return [record.outcome for record in records].count("passed")

    def _max_cost(self) -> float:
        """Return the cost up to which candidates are tried, without limit before a full fix."""
        cheapest = float("inf")
        for passing in self.passing:
            if passing.related == len(self.related):
                cheapest = min(cheapest, passing.candidate.cost)
        return cheapest + COST_WINDOW


def _by_duration(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tests, the fastest first: most candidates fail in the first one."""
    fastest_first = sorted(outcomes, key=lambda outcome: outcome.seconds)
    return [outcome.nodeid for outcome in fastest_first]


def _without(tests: Iterable[str], excluded: Collection[str]) -> list[str]:
    return [nodeid for nodeid in tests if nodeid not in excluded]


def _limits(
    tests: Sequence[str], baseline: Mapping[str, Record], *outcomes: str
) -> dict[str, float]:
    """Return the tests that have one of the outcomes without edits, each with its time limit."""
    limits = {}
    for nodeid in tests:
        record = baseline.get(nodeid)
        if record is None or record.outcome not in outcomes:
            continue
        limits[nodeid] = MIN_TEST_SECONDS
        # A test that hangs without edits has no duration to multiply.
        if record.outcome != "overtime":
            limits[nodeid] += SLOWDOWN * record.seconds
    return limits


def _is_special(edits: Sequence[Edit]) -> bool:
    """Return whether a fix inserts a text of the test: it may fit that test only."""
    return any("of the test" in edit.kind for edit in edits)


def _why_nothing_fails(attempt: _Attempt) -> str:
    """Return why no failing test is left to try edits with."""
    if attempt.has_run:
        return "the failure does not occur in the sandbox where changes are tried"
    if attempt.deadline.is_over:
        return f"no change was tried: time ran out (setting {attempt.deadline.setting})"
    return "no change was tried: the failing tests do not finish in the sandbox"
