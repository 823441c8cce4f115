"""Undoes the user's changes in one session, for one cause after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, takewhile

from pytest_starcoder.culprit import notes
from pytest_starcoder.culprit.bench import Bench, Oracle, OutOfTime, Verdict, is_same_failure
from pytest_starcoder.culprit.comparisons import Changes, Repositories
from pytest_starcoder.culprit.confirmation import Confirmation, Culprit
from pytest_starcoder.culprit.new_tests import new_in_test
from pytest_starcoder.culprit.order import Order, OrderSearch
from pytest_starcoder.culprit.pieces import Piece, in_order
from pytest_starcoder.culprit.search import Search
from pytest_starcoder.culprit.targets import Target, choose_target
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.explain.undo_interface import UndoContext
from pytest_starcoder.runner.outcome import Outcome
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


class UndoSession:
    """Searches for the changes that broke the tests of one session."""

    def __init__(self, context: UndoContext) -> None:
        self._context = context
        self._unfixable = {test.nodeid for test in context.tests if not test.fixable}

    def find(self, causes: Sequence[tuple[Cause, Replay]]) -> Sequence[Breakage]:
        """Return what broke each cause, in the same order."""
        settings = self._context.settings
        targets: dict[int, Target] = {}
        if settings.undo and settings.replay:
            for index, (cause, replay) in enumerate(causes):
                target = choose_target(cause, replay, self._unfixable)
                if target is not None:
                    targets[index] = target
        if not targets:
            return [NO_BREAKAGE] * len(causes)
        started = time.monotonic()
        with self._context.show_status("broke", "undoing changes"):
            attempt = _Attempt(self._context, list(targets.values()), self._unfixable)
            attempt.run()
        # A target may have become that of another list of earlier tests, its test is the same.
        breakages = [NO_BREAKAGE] * len(causes)
        for index, target in targets.items():
            breakages[index] = attempt.results.get(target.test, NO_BREAKAGE)
        breakages = notes.each_once(breakages)
        first = min(targets)
        breakages[first] = replace(breakages[first], seconds=time.monotonic() - started)
        return breakages


class _Attempt:
    """Searches for what broke some targets; `results` has what is known so far, by test."""

    def __init__(
        self, context: UndoContext, targets: Sequence[Target], unfixable: Iterable[str]
    ) -> None:
        self.results: dict[str, Breakage] = {}
        self._context = context
        self._targets = targets
        self._unfixable = frozenset(unfixable)
        self._level = Level(context.settings.confinement)
        project = context.launch.project
        self._repositories = Repositories(project, context.conventions, context.started)
        self._deadline = context.deadline.within(context.settings.undo_timeout, "undo_timeout")
        seconds = SEARCH_SHARE * self._deadline.remaining()
        self._search_deadline = Deadline.after(seconds, self._deadline.setting)
        # Running the tests again has shown that much, should nothing run here.
        self._orders = {each.test: Order(each.earlier) for each in targets if each.earlier}
        self._confirmation = Confirmation(
            context.launch, context.tests, self._level, self._deadline
        )

    def run(self) -> None:
        """Search as far as time allows; nothing is raised, and Ctrl-C ends it."""
        try:
            self._search()
        except Unavailable as exc:
            self.results[self._targets[0].test] = notes.unavailable(exc)
        except (OSError, KeyboardInterrupt):
            pass  # no process can be started, or the user does not want to wait
        for test, order in self._orders.items():
            breakage = self.results.get(test, NO_BREAKAGE)
            self.results[test] = replace(breakage, after=order.after, state=order.state)

    def _search(self) -> None:
        comparisons = self._comparisons()
        changes = next(comparisons, None)
        if changes is None and not any(target.earlier for target in self._targets):
            self._note_nothing_to_compare()
            return
        earlier = chain.from_iterable(target.earlier for target in self._targets)
        tests = [*earlier, *(target.test for target in self._targets)]
        launch = self._context.launch
        with Trials(launch, list(dict.fromkeys(tests)), self._deadline, self._level) as trials:
            baseline: dict[str, Record] = {}
            # Lazily, so that changes are undone for the first targets while there is time.
            targets: Iterator[Target] | list[Target] = self._reproduced(baseline, trials)
            count = 0
            while changes is not None and targets:
                targets = self._search_changes(changes, targets, baseline, trials)
                changes = next(comparisons, None)
                count += 1
            # Without changes, this only finds the order of tests that fails.
            unexplained = list(targets)
        if unexplained and count == 1 and self._lacks_commits and not self._context.since:
            # Not only the files that CI has written may differ from the commit before.
            self.results[unexplained[0].test] = notes.SHALLOW

    def _note_nothing_to_compare(self) -> None:
        """Say why nothing was undone, if the user has asked for it or can do something."""
        first = self._targets[0].test
        if self._lacks_commits:
            self.results[first] = notes.SHALLOW
        elif self._context.is_wanted:
            exists = self._repositories.exist
            self.results[first] = notes.UNCHANGED if exists else notes.NO_REPOSITORY

    @property
    def _lacks_commits(self) -> bool:
        """True if CI has not fetched the commits to compare with."""
        return bool(os.environ.get("CI")) and self._repositories.is_shallow

    def _comparisons(self) -> Iterator[Changes]:
        """Yield what differs from one state of the repository after another."""
        context = self._context
        tests = [target.test for target in self._targets]
        passed = [context.passed[test] for test in tests if test in context.passed]
        for changes in self._repositories.comparisons(context.since, passed):
            if changes.files:
                yield changes

    # --- with nothing undone ---------------------------------------------------------------

    def _run_alone(self, test: str, baseline: dict[str, Record], trials: Trials) -> None:
        """Run a test in a process of its own, unless it has a record in `baseline`."""
        if test not in baseline:
            [run] = trials.run_session({test: BASELINE_SECONDS})
            for record in run.records:
                baseline[record.nodeid] = record

    def _reproduced(self, baseline: dict[str, Record], trials: Trials) -> Iterator[Target]:
        """Yield the targets that fail in the sandbox as they did; note why others do not.

        Adds the records of the tests to `baseline`.
        """
        for target in self._targets:
            self._run_alone(target.test, baseline, trials)
            order = self._find_order(target, baseline, trials)
            if order is None:
                record = baseline.get(target.test)
                if record is not None and target.is_failure(record):
                    yield target
                elif record is None and self._deadline.is_over:
                    self.results[target.test] = notes.no_time(self._deadline.setting)
                else:
                    self.results[target.test] = notes.NOT_REPRODUCED
                continue
            self._orders[target.test] = order
            if order.record is not None and self._unfixable.isdisjoint(order.after):
                baseline[target.test] = order.record
                yield replace(target, earlier=order.after, executed=order.executed)
            elif not order.after:
                self.results[target.test] = notes.BY_CHANCE

    def _find_order(
        self, target: Target, baseline: Mapping[str, Record], trials: Trials
    ) -> Order | None:
        """Find the shortest list of earlier tests after which a test fails; None if it is alone.

        If it has passed when it ran again, these are tests of the session, and else some of the
        failing tests that ran again before it.
        """
        launch, deadline = self._context.launch, self._deadline

        def run_afresh(tests: Sequence[str]) -> Sequence[Outcome]:
            tracing = Tracing(lines=frozenset(tests))
            return rerun(launch, tests, deadline, tracing=tracing)

        earlier = target.earlier or _failing_before(target.test, baseline)
        if not earlier:
            return None
        limits = self._limits([*earlier, target.test])
        sources = SourceFiles.below(launch.root)
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

    # --- with changes undone ---------------------------------------------------------------

    def _search_changes(
        self,
        changes: Changes,
        targets: Iterable[Target],
        baseline: Mapping[str, Record],
        trials: Trials,
    ) -> list[Target]:
        """Search one comparison; return the targets that fail without these changes, too."""
        project = self._context.launch.project
        bench = Bench(trials, changes.files, project, self._search_deadline)
        culprits: list[Culprit] = []
        unexplained: list[Target] = []
        for target in targets:
            oracle = self._oracle(target, baseline[target.test], bench)
            culprit = _known_culprit(culprits, oracle)
            if culprit is not None:
                culprit.targets.append(target)
                continue
            search = Search(bench, oracle, target.executed)
            result = search.find()
            reason = new_in_test(target.test, result, changes.files)
            if reason:
                self.results[target.test] = notes.new_since(reason, changes)
            elif result.ways and not _is_flaky(bench, oracle):
                culprits.append(Culprit(result, [target], search.is_only_test(result)))
            elif result.timed_out:
                self.results[target.test] = self._out_of_time(result.unfinished, changes)
            elif not result.ways and result.all is Verdict.FAILS:
                unexplained.append(target)
                # Code that runs in another process is not undone there.
                if search.is_any_executed():
                    self.results[target.test] = notes.not_these(changes)
        for culprit in culprits:
            breakage = self._confirmation.confirm(culprit, changes, bench, trials.level)
            target = culprit.targets[0]
            oracle = self._oracle(target, baseline[target.test], bench)
            breakage = self._with_commits(breakage, culprit, changes, oracle)
            for target in culprit.targets:
                self.results[target.test] = breakage
        return unexplained

    def _out_of_time(self, pieces: Iterable[Piece], changes: Changes) -> Breakage:
        return notes.out_of_time(pieces, changes, self._deadline.setting)

    def _oracle(self, target: Target, before: Record, bench: Bench) -> Oracle:
        limit = MIN_TEST_SECONDS + SLOWDOWN * before.seconds
        earlier = self._limits(target.earlier)
        return Oracle(bench, target.test, limit, before, earlier, target.imported)

    def _with_commits(
        self, breakage: Breakage, culprit: Culprit, changes: Changes, oracle: Oracle
    ) -> Breakage:
        """Add the commit that made each piece."""
        if not breakage.pieces:
            return breakage
        ways = []
        described = (breakage.pieces, *breakage.either)
        for way, pieces in zip(described, culprit.result.ways, strict=True):
            with_commits = []
            for described_piece, piece in zip(way, in_order(pieces), strict=True):
                passes = partial(oracle.passes_with, pieces, piece)
                commit = self._repositories.commit_of(changes, described_piece, passes)
                with_commits.append(replace(described_piece, commit=commit))
            ways.append(tuple(with_commits))
        return replace(breakage, pieces=ways[0], either=tuple(ways[1:]))


def _failing_before(test: str, baseline: Mapping[str, Record]) -> tuple[str, ...]:
    """Return the failing tests that ran again before a test, if it passes without them."""
    record = baseline.get(test)
    if record is None or record.outcome != "passed" or "::" not in test:
        return ()
    before = takewhile(lambda each: each != test, baseline)
    return tuple(each for each in before if "::" in each)


def _known_culprit(culprits: Sequence[Culprit], oracle: Oracle) -> Culprit | None:
    """Return the culprit of another cause that explains this one as well."""
    try:
        for culprit in culprits:
            if oracle.passes(culprit.pieces):
                return culprit
    except OutOfTime:
        pass
    return None


def _is_flaky(bench: Bench, oracle: Oracle) -> bool:
    """Return whether the test no longer fails with nothing undone."""
    try:
        [records] = bench.run([frozenset()], oracle.limits)
    except OutOfTime:
        return False
    record = (records or {}).get(oracle.test)
    return record is None or not is_same_failure(record, oracle.before)
