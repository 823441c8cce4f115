"""Undoes the user's changes in one session, for one cause after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, takewhile

from pytest_starcoder.culprit.bench import Bench, Oracle, OutOfTime, Verdict, is_same_failure
from pytest_starcoder.culprit.comparisons import Changes, Repositories
from pytest_starcoder.culprit.new_tests import new_in_test
from pytest_starcoder.culprit.order import Order, OrderSearch
from pytest_starcoder.culprit.pieces import Piece, Pieces
from pytest_starcoder.culprit.search import Found, Search
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage, BrokenBy
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.explain.undo_interface import UndoContext
from pytest_starcoder.runner.outcome import Lines, Outcome
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.rerun_job import Tracing
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import MIN_TEST_SECONDS, SLOWDOWN, Trials, Unavailable
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.sources import SourceFiles

BASELINE_SECONDS = 5.0
"""Limit of one test with nothing undone, in seconds of processor time."""

SEARCH_SHARE = 0.7
"""Share of the time for the search; the rest is for the confirmation."""

MAX_NEIGHBOURS = 40
"""Maximum number of passing tests that are run with the changes undone."""

MAX_FAILING = 60
"""Maximum number of failing tests that are run with the changes undone."""

BY_CHANCE = "no change was undone: with the same tests before it, it fails by chance only"

NOT_REPRODUCED = (
    "no change was undone: in the sandbox, the test does not fail as it did (it may need a "
    "service, or what another run left behind)"
)

SHALLOW = (
    "no change was undone: this clone has no commit to compare with (fetch-depth: 0, or "
    "GIT_DEPTH: 0, fetches the history)"
)


@dataclass(frozen=True)
class Target:
    """A cause to search for, and the test that judges: its quickest failing one.

    For an error of collection, that is the file. `executed` are the lines it runs or imports,
    and `imported` the latter alone.
    It fails only after the tests `earlier`, if there are any.
    """

    index: int
    test: str
    exception: str
    executed: Lines = field(default_factory=dict)
    imported: Lines = field(default_factory=dict)
    earlier: tuple[str, ...] = ()


@dataclass
class Named:
    """Pieces that break tests, the causes that they explain, and what the search has shown."""

    changes: Changes
    found: Found
    total: int
    targets: list[Target]
    only_test: bool


class UndoSession:
    """Searches for the changes that broke the tests of one session."""

    def __init__(self, context: UndoContext) -> None:
        self._context = context
        self._project = context.launch.project
        self._level = Level(context.settings.confinement)
        self._unfixable = {test.nodeid for test in context.tests if not test.fixable}
        self._orders: dict[int, Order] = {}
        """The orders that make tests fail, by the index of their cause."""

    def find(self, causes: Sequence[tuple[Cause, Replay]]) -> Sequence[Breakage]:
        """Return what broke each cause, in the same order."""
        results = [NO_BREAKAGE] * len(causes)
        settings = self._context.settings
        targets = self._targets(causes)
        if not (settings.undo and settings.replay) or not targets:
            return results
        for target in targets:
            if target.earlier:  # running it again has shown that much, should nothing run here
                self._orders[target.index] = Order(target.earlier)
        started = time.monotonic()
        deadline = Deadline.after(settings.undo_timeout, "undo_timeout")
        search_deadline = Deadline.after(SEARCH_SHARE * settings.undo_timeout, "undo_timeout")
        with self._context.show_status("broke", "undoing changes"):
            try:
                for target, breakage in self._search(causes, targets, search_deadline, deadline):
                    results[target.index] = breakage
            except Unavailable as exc:
                results[targets[0].index] = Breakage(note=f"no change was undone: {exc}")
            except (OSError, KeyboardInterrupt):
                pass  # no process can be started, or the user does not want to wait
        for index, order in self._orders.items():
            results[index] = replace(results[index], after=order.after, state=order.state)
        results = _each_note_once(results)
        first = results[targets[0].index]
        results[targets[0].index] = replace(first, seconds=time.monotonic() - started)
        return results

    def _targets(self, causes: Sequence[tuple[Cause, Replay]]) -> list[Target]:
        targets = []
        for index, (cause, replay) in enumerate(causes):
            failing = [each for each in replay.failing if each.nodeid not in self._unfixable]
            if failing:
                quickest = min(failing, key=lambda outcome: outcome.seconds)
                executed = dict(quickest.imported)
                for path, lines in quickest.lines.items():
                    executed[path] = lines | executed.get(path, frozenset())
                target = Target(
                    index, quickest.nodeid, quickest.exception, executed, quickest.imported
                )
                targets.append(target)
            elif len(replay.order) > 1:
                *earlier, test = replay.order
                exception = cause.first.exception
                targets.append(Target(index, test, exception, earlier=tuple(earlier)))
            elif cause.first.phase == "collect" and cause.nodeids[0].endswith(".py"):
                targets.append(Target(index, cause.nodeids[0], cause.first.exception))
        return targets

    def _search(
        self,
        causes: Sequence[tuple[Cause, Replay]],
        targets: Sequence[Target],
        search_deadline: Deadline,
        deadline: Deadline,
    ) -> Iterable[tuple[Target, Breakage]]:
        """Yield what broke the targets, as far as it is known."""
        context = self._context
        repositories = Repositories(self._project, context.conventions, context.started)
        tests = [target.test for target in targets]
        passed = [context.passed[test] for test in tests if test in context.passed]
        comparisons = repositories.comparisons(context.since, passed)
        changes = next((each for each in comparisons if each.files), None)
        if changes is None and not any(target.earlier for target in targets):
            if os.environ.get("CI") and repositories.is_shallow:
                yield targets[0], Breakage(note=SHALLOW)
            return
        earlier = list(chain.from_iterable(target.earlier for target in targets))
        collected = list(dict.fromkeys([*earlier, *tests]))
        with Trials(context.launch, collected, deadline, self._level) as trials:
            baseline = _run_alone(trials, tests)
            open_targets: list[Target] = []
            for target in targets:
                order = self._find_order(target, baseline, trials, deadline)
                if order is not None:
                    self._orders[target.index] = order
                    if order.record is None or not self._unfixable.isdisjoint(order.after):
                        yield target, NO_BREAKAGE if order.after else Breakage(note=BY_CHANCE)
                    else:
                        baseline[target.test] = order.record
                        open_targets.append(
                            replace(target, earlier=order.after, executed=order.executed)
                        )
                    continue
                record = baseline.get(target.test)
                if record is not None and _fails_like(record, target.exception):
                    open_targets.append(target)
                else:
                    yield target, Breakage(note=NOT_REPRODUCED)
            while changes is not None and open_targets:
                bench = Bench(trials, changes.files, self._project, search_deadline)
                named, open_targets, notes = self._search_changes(
                    changes, bench, open_targets, baseline
                )
                yield from notes
                for each in named:
                    breakage = self._describe(each, causes, bench, deadline, trials)
                    breakage = _with_commits(breakage, changes, repositories)
                    for target in each.targets:
                        yield target, breakage
                changes = next((each for each in comparisons if each.files), None)

    def _find_order(
        self,
        target: Target,
        baseline: Mapping[str, Record],
        trials: Trials,
        deadline: Deadline,
    ) -> Order | None:
        """Find the shortest list of earlier tests after which a test fails; None if it is alone.

        If it has passed when it ran again, these are tests of the session, and else some of the
        failing tests that ran again before it.
        """
        context = self._context

        def run_afresh(tests: Sequence[str]) -> Sequence[Outcome]:
            tracing = Tracing(lines=frozenset(tests))
            return rerun(context.launch, tests, deadline, tracing=tracing)

        earlier = target.earlier or _failing_before(target.test, baseline)
        if not earlier:
            return None
        limits = self._limits([*earlier, target.test])
        sources = SourceFiles.below(self._project.root)
        search = OrderSearch(trials, limits, run_afresh, sources, deadline)
        order = search.find(target.test, earlier)
        if not target.earlier:
            alone = [outcome.outcome for outcome in run_afresh([target.test])]
            if order.record is None or alone != ["passed"]:
                return None
        return order

    def _limits(self, tests: Iterable[str]) -> dict[str, float]:
        """Return the limits of tests, in seconds of processor time."""
        seconds = {test.nodeid: test.seconds for test in self._context.tests}
        return {test: MIN_TEST_SECONDS + SLOWDOWN * seconds.get(test, 1.0) for test in tests}

    def _search_changes(
        self,
        changes: Changes,
        bench: Bench,
        targets: Sequence[Target],
        baseline: Mapping[str, Record],
    ) -> tuple[list[Named], list[Target], list[tuple[Target, Breakage]]]:
        """Search one comparison; return what is named, targets for the next one, and notes."""
        total = sum(len(file.pieces) for file in changes.files if file.kind != "data")
        named: list[Named] = []
        unexplained: list[Target] = []
        notes: list[tuple[Target, Breakage]] = []
        for target in targets:
            before = baseline[target.test]
            limit = MIN_TEST_SECONDS + SLOWDOWN * before.seconds
            earlier = self._limits(target.earlier)
            oracle = Oracle(bench, target.test, limit, before, earlier, target.imported)
            known = self._known(named, oracle)
            if known is not None:
                known.targets.append(target)
                continue
            search = Search(bench, oracle, target.executed)
            found = search.find()
            reason = new_in_test(target.test, found, changes.files)
            if reason:
                notes.append((target, Breakage(note=f"{reason} since {changes.since}")))
            elif found.ways and not self._is_flaky(bench, oracle):
                only_test = search.is_only_test(found)
                named.append(Named(changes, found, total, [target], only_test))
            elif found.timed_out:
                notes.append((target, _out_of_time(found, changes)))
            elif not found.ways and found.all is Verdict.FAILS:
                unexplained.append(target)
                # Code that runs in another process is not undone there.
                if search.is_any_executed():
                    notes.append((target, _not_these(changes, total)))
        return named, unexplained, notes

    def _known(self, named: Sequence[Named], oracle: Oracle) -> Named | None:
        """Return the pieces that explain another cause and also this one."""
        for each in named:
            try:
                if oracle.passes(each.found.ways[0]):
                    return each
            except OutOfTime:
                return None
        return None

    def _is_flaky(self, bench: Bench, oracle: Oracle) -> bool:
        """Return whether the test no longer fails with nothing undone."""
        try:
            [records] = bench.run([frozenset()], oracle.limits)
        except OutOfTime:
            return False
        record = (records or {}).get(oracle.test)
        return record is None or not is_same_failure(record, oracle.before)

    def _describe(
        self,
        named: Named,
        causes: Sequence[tuple[Cause, Replay]],
        bench: Bench,
        deadline: Deadline,
        trials: Trials,
    ) -> Breakage:
        """Confirm the pieces in a fresh process with all tests that they concern."""
        changes, found = named.changes, named.found
        way = found.ways[0]
        failing: dict[str, None] = {}
        neighbours: dict[str, None] = {}
        for target in named.targets:
            cause, replay = causes[target.index]
            failing |= dict.fromkeys([target.test, *replay.failing_ids, *cause.nodeids])
            neighbours |= dict.fromkeys(outcome.nodeid for outcome in replay.passing)
        quick = {test.nodeid for test in self._context.tests if test.quick and test.fixable}
        is_file = "::" not in named.targets[0].test
        if is_file:
            confirmed = [target.test for target in named.targets]
            passed, failed = set(confirmed), set[str]()
        else:
            failing_ids = list(islice((each for each in failing if each in quick), MAX_FAILING))
            neighbour_ids = list(islice(neighbours, MAX_NEIGHBOURS))
            order = [test.nodeid for test in self._context.tests]
            earlier = chain.from_iterable(target.earlier for target in named.targets)
            wanted = {*failing_ids, *neighbour_ids, *earlier}
            tests = [nodeid for nodeid in order if nodeid in wanted]
            outcomes = rerun(
                self._context.launch,
                tests,
                deadline,
                files=bench.texts(way),
                sandbox=self._level,
            )
            passed = {outcome.nodeid for outcome in outcomes if outcome.outcome == "passed"}
            failed = {outcome.nodeid for outcome in outcomes if outcome.failed}
            confirmed = failing_ids
            missing = {target.test for target in named.targets} - passed
            if missing - failed and deadline.remaining() <= 0:
                return _out_of_time(Found(unfinished=way), changes)
            if missing:
                return Breakage(note="undoing changes gives different results each time")
        ways = [self._described(pieces) for pieces in found.ways]
        return Breakage(
            pieces=ways[0],
            either=tuple(ways[1:]),
            since=changes.since,
            failing=tuple(nodeid for nodeid in confirmed if nodeid in passed),
            still=tuple(nodeid for nodeid in confirmed if nodeid not in passed),
            passing=tuple(nodeid for nodeid in neighbours if nodeid in passed),
            needing=tuple(nodeid for nodeid in neighbours if nodeid in failed),
            total=named.total,
            files=len({file.path for file in changes.files if file.kind != "data"}),
            harmless=found.harmless,
            only_test=named.only_test,
            left_out=changes.left_out,
            tried=bench.tried,
            level=str(trials.level),
        )

    def _described(self, pieces: Pieces) -> tuple[BrokenBy, ...]:
        return tuple(map(_broken_by, _in_order(pieces)))


def _with_commits(breakage: Breakage, changes: Changes, repositories: Repositories) -> Breakage:
    """Add the commit that made each piece."""
    pieces = []
    for piece in breakage.pieces:
        pieces.append(replace(piece, commit=repositories.commit_of(changes, piece)))
    return replace(breakage, pieces=tuple(pieces))


def _each_note_once(breakages: Sequence[Breakage]) -> list[Breakage]:
    """Return the breakages without notes that an earlier one has."""
    notes = {""}
    different = []
    for breakage in breakages:
        repeated = breakage.note in notes
        notes.add(breakage.note)
        different.append(replace(breakage, note="") if repeated else breakage)
    return different


def _run_alone(trials: Trials, tests: Sequence[str]) -> dict[str, Record]:
    """Run each test with nothing undone, in a process of its own."""
    records: dict[str, Record] = {}
    for test in dict.fromkeys(tests):
        [run] = trials.run_session({test: BASELINE_SECONDS})
        for record in run.records:
            records[record.nodeid] = record
    return records


def _failing_before(test: str, baseline: Mapping[str, Record]) -> tuple[str, ...]:
    """Return the failing tests that ran again before a test, if it passes without them."""
    record = baseline.get(test)
    if record is None or record.outcome != "passed" or "::" not in test:
        return ()
    before = takewhile(lambda each: each != test, baseline)
    return tuple(each for each in before if "::" in each)


def _fails_like(record: Record, exception: str) -> bool:
    """Return whether a test fails with the exception of the run, as far as that is known."""
    names = {name.rpartition(".")[2] for name in (record.raised, exception) if name}
    return record.outcome == "failed" and len(names) <= 1


def _in_order(pieces: Iterable[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: (piece.path, piece.line))


def _broken_by(piece: Piece) -> BrokenBy:
    return BrokenBy(piece.path, piece.line, piece.last, piece.diff, in_test=piece.kind == "test")


def _not_these(changes: Changes, total: int) -> Breakage:
    return Breakage(
        since=changes.since,
        total=total,
        left_out=changes.left_out,
        note=f"not by the changes since {changes.since}: it fails the same way without them",
    )


def _out_of_time(found: Found, changes: Changes) -> Breakage:
    paths = dict.fromkeys(piece.path for piece in _in_order(found.unfinished))
    note = "time ran out while changes were undone (setting undo_timeout)"
    if paths:
        note += f": what broke it is in {', '.join(paths)}"
    return Breakage(since=changes.since, note=note, left_out=changes.left_out)
