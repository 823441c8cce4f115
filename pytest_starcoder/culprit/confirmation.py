"""Confirms a culprit in a fresh process, with all the tests that it concerns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from pytest_starcoder.culprit.bench import Bench
from pytest_starcoder.culprit.comparisons import Changes
from pytest_starcoder.culprit.notes import VARIES, out_of_time
from pytest_starcoder.culprit.pieces import Piece, Pieces, in_order
from pytest_starcoder.culprit.search import SearchResult
from pytest_starcoder.culprit.targets import Target, involved_tests
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.sandbox import Level

MAX_NEIGHBOURS = 40
"""Maximum number of passing tests that are run with the changes undone."""

MAX_FAILING = 60
"""Maximum number of failing tests that are run with the changes undone."""


@dataclass
class Culprit:
    """Pieces that break tests, the targets that they explain, and what the search has shown."""

    result: SearchResult
    targets: list[Target]
    only_test: bool

    @property
    def pieces(self) -> Pieces:
        return self.result.ways[0]


@dataclass(frozen=True)
class Results:
    """The tests that ran with the pieces undone, by their role, and their results."""

    failing: Sequence[str]
    neighbours: Sequence[str]
    passed: Collection[str]
    failed: Collection[str]


class Confirmation:
    """Runs tests of the session with the pieces undone; `level` is the minimum sandbox level."""

    def __init__(
        self, launch: Launch, tests: Sequence[FinishedTest], level: Level, deadline: Deadline
    ) -> None:
        self._launch = launch
        self._tests = tests
        self._level = level
        self._deadline = deadline

    def confirm(self, culprit: Culprit, changes: Changes, bench: Bench, level: Level) -> Breakage:
        """Return what the pieces break, or a note if the tests do not pass again without them.

        `level` is the sandbox level that the search has reached.
        """
        results = self._run(culprit, bench)
        not_passed = {target.test for target in culprit.targets}.difference(results.passed)
        if not_passed.difference(results.failed) and self._deadline.remaining() <= 0:
            return out_of_time(culprit.pieces, changes, self._deadline.setting)
        if not_passed:
            return VARIES
        ways = [_describe(pieces) for pieces in culprit.result.ways]
        return Breakage(
            pieces=ways[0],
            either=tuple(ways[1:]),
            since=changes.since,
            failing=_select(results.failing, results.passed),
            still=_select(results.failing, results.failed),
            passing=_select(results.neighbours, results.passed),
            needing=_select(results.neighbours, results.failed),
            total=_count_changes(changes, frozenset().union(*culprit.result.ways)),
            files=changes.file_count,
            harmless=culprit.result.harmless,
            only_test=culprit.only_test,
            left_out=changes.left_out,
            tried=bench.tried,
            level=str(level),
        )

    def _run(self, culprit: Culprit, bench: Bench) -> Results:
        if culprit.targets[0].is_file:
            # The search has imported the file in a fresh process already.
            files = [target.test for target in culprit.targets]
            return Results(files, (), files, ())
        failing, neighbours = involved_tests(culprit.targets)
        quick = {test.nodeid for test in self._tests if test.quick and test.fixable}
        failing = list(islice(filter(quick.__contains__, failing), MAX_FAILING))
        neighbours = neighbours[:MAX_NEIGHBOURS]
        earlier = chain.from_iterable(target.earlier for target in culprit.targets)
        outcomes = rerun(
            self._launch,
            self._in_order({*failing, *neighbours, *earlier}),
            self._deadline,
            files=bench.texts(culprit.pieces),
            sandbox=self._level,
        )
        passed = {outcome.nodeid for outcome in outcomes if outcome.outcome == "passed"}
        failed = {outcome.nodeid for outcome in outcomes if outcome.failed}
        return Results(failing, neighbours, passed, failed)

    def _in_order(self, tests: Collection[str]) -> list[str]:
        """Sort tests as in the session."""
        return [test.nodeid for test in self._tests if test.nodeid in tests]


def _select(tests: Iterable[str], wanted: Collection[str]) -> tuple[str, ...]:
    return tuple(test for test in tests if test in wanted)


def _describe(pieces: Pieces) -> tuple[BrokenBy, ...]:
    return tuple(map(_broken_by, in_order(pieces)))


def _broken_by(piece: Piece) -> BrokenBy:
    return BrokenBy(
        piece.path,
        piece.line,
        piece.last,
        piece.diff,
        in_test=piece.kind == "test",
        whole=piece.whole,
    )


def _count_changes(changes: Changes, named: Pieces) -> int:
    """Return the number of changes, counting the named parts of a hunk instead of the hunk."""
    hunks = set()
    for file in changes.files:
        for hunk in file.pieces:
            if any(piece.is_within(hunk) for piece in named):
                hunks.add(hunk)
    return changes.total - len(hunks) + len(named)
