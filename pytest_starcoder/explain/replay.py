"""Runs failing tests again next to passing ones, and draws conclusions about each cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, zip_longest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import listed_tests
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.neighbours import choose_neighbours, spread
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import MISSING, QUICK, FinishedTest, Outcome
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.rerun_job import Tracing
from pytest_starcoder.text.display import counted, natural, one_line
from pytest_starcoder.text.node_ids import without_parameters

MAX_FAILING = 4
"""Maximum number of failing tests of one cause that run again."""

MAX_FAILING_OF_SMALL = 2
"""Maximum number of failing tests of a smaller cause that run again."""

MAX_LARGE_CAUSES = 10
"""Number of causes, the largest first, of which `MAX_FAILING` tests run again."""

MAX_CAUSES = 30
"""Maximum number of causes whose tests run again."""

MAX_NEIGHBOUR_SECONDS = 5.0
"""Seconds for the neighbours of all causes, estimated from the durations of their first run."""

NEIGHBOURS_SHARE = 0.75
"""Share of the time limit after which neither a neighbour nor a second run is started."""

TEST_OVERHEAD = 0.01
"""Seconds that pytest needs for a test besides the test's own time (measured: 0.002 to 0.008)."""

TRACING_SLOWDOWN = 4
"""Factor by which tracing slows a test down (measured: 1.5 to 9)."""

MAX_EARLIER = 400
"""Maximum number of tests that run again to find the order that fails."""

ENDED_EARLY = "pytest exited before it finished"
"""Reason for a missing outcome: the process ended or crashed."""


@dataclass(frozen=True)
class Replay:
    """The results of running tests of one cause again.

    `failing` and `passing` are the outcomes that rank its lines; `statements` are sentences for
    a person. `order` lists the tests that make it fail, unless it fails alone. `tests` are the
    node ids of all tests that ran.
    """

    failing: tuple[Outcome, ...] = ()
    passing: tuple[Outcome, ...] = ()
    statements: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    tests: frozenset[str] = field(default_factory=frozenset)

    @property
    def failing_ids(self) -> tuple[str, ...]:
        return tuple(outcome.nodeid for outcome in self.failing)


class Replayer:
    """Runs tests of a session again; `finished` are its tests in the order in which they ran.

    `warn` is called with a sentence on anything that the tests left behind.
    """

    def __init__(
        self,
        finished: Sequence[FinishedTest],
        launch: Launch,
        deadline: Deadline,
        warn: Callable[[str], object] = lambda _: None,
        run_tests: Callable[..., Iterable[Outcome]] = rerun,
        max_unshortened: int = 1,
    ) -> None:
        """`max_unshortened` is the number of earlier tests that need not be narrowed down."""
        self._finished = finished
        self._by_id = {test.nodeid: test for test in finished}
        self._launch = launch
        self._deadline = deadline
        self._warn = warn
        self._run_tests = run_tests
        self._max_unshortened = max_unshortened

    def replay(self, causes: Sequence[Cause], read: Callable[[str], str]) -> list[Replay]:
        """Return a replay per cause; it is empty if none of its tests may run again.

        `read` returns the text of a file by its path relative to the root.
        """
        passed = self._passed_tests()
        failing: list[list[FinishedTest]] = []
        neighbours: list[list[FinishedTest]] = []
        for index, cause in enumerate(causes):
            # Causes beyond the limit get an empty replay.
            tests = self._failing_tests(cause, index) if index < MAX_CAUSES else []
            failing.append(tests)
            near = choose_neighbours(cause.first, tests[0], passed, read) if tests else []
            neighbours.append(near)
        # All causes share one run: starting pytest and importing the project is slow.
        outcomes = self._run_traced(failing, neighbours)
        replays: list[Replay] = []
        for cause, tests, near in zip(causes, failing, neighbours, strict=True):
            if not tests:
                replays.append(Replay(statements=self._reasons_not_to_rerun(cause, len(replays))))
                continue
            again = [outcomes[test.nodeid] for test in tests]
            passing = []
            for test in near:
                outcome = outcomes.get(test.nodeid)
                if outcome is not None and outcome.outcome == "passed":
                    passing.append(outcome)
            replays.append(self._conclude(cause.first, again, tuple(passing)))
        return replays

    def _passed_tests(self) -> list[FinishedTest]:
        passed = [test for test in self._finished if test.outcome == "passed" and test.quick]
        # Under xdist, the order in which tests ran is chance.
        passed.sort(key=lambda test: natural(test.nodeid))
        return passed

    def _failing_tests(self, cause: Cause, index: int) -> list[FinishedTest]:
        """Return failing tests to run again: the first, and some spread over the rest.

        `index` is the position of the cause; those with the most tests come first.
        """
        first = cause.first
        if not first.frames and "crashed while running" in first.message:
            return []  # it would crash our process like xdist's worker
        tests = []
        for nodeid in cause.nodeids:
            test = self._by_id.get(nodeid)
            if test is not None and test.quick:
                tests.append(test)
        return spread(tests, MAX_FAILING if index < MAX_LARGE_CAUSES else MAX_FAILING_OF_SMALL)

    def _reasons_not_to_rerun(self, cause: Cause, index: int) -> tuple[str, ...]:
        """Return why no test of a cause runs again; empty if it has none or the user chose so."""
        tests = [self._by_id[nodeid] for nodeid in cause.nodeids if nodeid in self._by_id]
        if index >= MAX_CAUSES:
            return (f"not rerun: only the tests of the first {MAX_CAUSES} causes are",)
        if any(test.quick for test in tests):
            return ("not rerun: it would crash this process as well",)
        seconds = [test.seconds for test in tests if test.allowed]
        if seconds:
            return (f"not rerun: it took {min(seconds):.1f} s, more than the limit of {QUICK:g} s",)
        return ()

    def _run_traced(
        self, failing: Sequence[list[FinishedTest]], neighbours: Sequence[list[FinishedTest]]
    ) -> dict[str, Outcome]:
        """Run failing tests and as many neighbours as there is time for; return all outcomes."""
        failing_ids = list(_ids(*chain.from_iterable(failing)))
        if not failing_ids:
            return {}
        ids = [*failing_ids, *self._affordable(neighbours, failing_ids)]
        # Calls of passing tests are not shown, and recording them is slow. Failing tests run
        # before their neighbours, which may change what they do, and after them: what the
        # neighbours have imported or cached for all tests is no evidence.
        tracing = Tracing(
            lines=frozenset(ids),
            calls=frozenset(failing_ids),
            twice=frozenset(failing_ids),
            until=time.time() + self._deadline.remaining() * NEIGHBOURS_SHARE,
        )
        ran = self._run_tests(self._launch, ids, self._deadline, tracing=tracing, warn=self._warn)
        outcomes = {outcome.nodeid: outcome for outcome in ran}
        reason = ENDED_EARLY
        if self._deadline.is_over:
            reason = f"time ran out (setting {self._deadline.setting})"
        for nodeid in failing_ids:
            outcomes.setdefault(nodeid, Outcome(nodeid, MISSING, message=reason))
        return outcomes

    def _affordable(
        self, neighbours: Sequence[list[FinishedTest]], failing_ids: Collection[str]
    ) -> list[str]:
        """Return the node ids of neighbours that there is time for, the nearest of each first."""
        seconds = min(MAX_NEIGHBOUR_SECONDS, self._deadline.remaining() / 2)
        ids: dict[str, None] = {}
        for same_rank in zip_longest(*neighbours):
            for test in same_rank:
                if test is None or test.nodeid in ids or test.nodeid in failing_ids:
                    continue
                cost = TEST_OVERHEAD + test.seconds * TRACING_SLOWDOWN
                if cost <= seconds:
                    ids[test.nodeid] = None
                    seconds -= cost
        return list(ids)

    def _conclude(
        self, failure: Failure, again: list[Outcome], passing: tuple[Outcome, ...]
    ) -> Replay:
        """Return the replay of a cause from the outcomes of its failing tests and neighbours."""
        missing = {test.nodeid: test.message for test in again if test.outcome == MISSING}
        ran = [outcome for outcome in again if outcome.outcome != MISSING]
        if any(outcome.failed for outcome in ran):
            replay = _failed_again(failure, ran, passing)
        elif any(outcome.outcome == "passed" for outcome in ran):
            first = next(outcome for outcome in ran if outcome.outcome == "passed")
            replay = self._passed_now(first, passing)
        elif ran:
            replay = Replay(statements=(_skipped_statement(ran[0]),), tests=frozenset(_ids(*ran)))
        else:
            # The parameters may differ from run to run, so the whole function is to be run.
            order = [without_parameters(nodeid) for nodeid in islice(missing, 1)]
            replay = Replay(order=tuple(order))
        return replace(replay, statements=(*replay.statements, *_not_run(missing)))

    def _passed_now(self, outcome: Outcome, passing: tuple[Outcome, ...]) -> Replay:
        """Return the replay of a test that now passes: it depends on the order, or is flaky."""
        nodeid = outcome.nodeid
        earlier = self._earlier_tests(nodeid)
        order: tuple[str, ...] = ()
        has_time = self._deadline.remaining() > 0
        if has_time and self._fails_after([], nodeid):
            statement = (
                "passed when rerun with tracing, but failed without it: "
                "flaky, or dependent on sys.settrace"
            )
        elif not earlier or not has_time:
            statement = "passed when rerun: flaky, or dependent on something outside the test"
        elif self._fails_after(earlier, nodeid):
            guilty = earlier
            if len(earlier) > self._max_unshortened:
                guilty = self._narrow_down(earlier, nodeid)
            statement = order_statement(guilty)
            order = (*guilty, nodeid)
        # The time may have run out before the test was reached.
        elif self._deadline.remaining() <= 0:
            missed = "no time was left to rerun the failing order"
            statement = f"passed when rerun; {missed}"
        else:
            conditions = "alone and in the order that had failed"
            statement = f"passed when rerun, {conditions}: flaky"
        tests = frozenset([*_ids(outcome, *passing), *earlier])
        return Replay((), passing, (statement,), order, tests)

    def _earlier_tests(self, nodeid: str) -> list[str]:
        """Return the last tests that the same process ran before a test."""
        worker = self._by_id[nodeid].worker
        earlier = []
        for test in self._finished:
            if test.nodeid == nodeid:
                break
            if test.worker == worker and test.outcome != "skipped" and test.quick:
                earlier.append(test.nodeid)
        return earlier[-MAX_EARLIER:]

    def _fails_after(self, earlier: list[str], nodeid: str) -> bool:
        ran = self._run_tests(self._launch, [*earlier, nodeid], self._deadline, warn=self._warn)
        return any(outcome.nodeid == nodeid and outcome.failed for outcome in ran)

    def _narrow_down(self, earlier: list[str], nodeid: str) -> list[str]:
        """Halve the tests after which a test fails, as long as one half still makes it fail."""
        while len(earlier) > 1 and self._deadline.remaining() > 0:
            middle = len(earlier) // 2
            if self._fails_after(earlier[middle:], nodeid):
                earlier = earlier[middle:]
            elif self._fails_after(earlier[:middle], nodeid):
                earlier = earlier[:middle]
            else:
                break
        return earlier


def order_statement(earlier: Sequence[str]) -> str:
    """Return the sentence on a test that fails after the tests `earlier` only."""
    return f"passes alone and fails after {listed_tests(earlier)}: dependent on the order"


def with_order(replay: Replay, earlier: Sequence[str]) -> Replay:
    """Return the replay of a test that fails only after the tests `earlier`.

    It may have a longer list of earlier tests, or none if they ran before it by chance.
    """
    tests = replay.order or replay.failing_ids[:1]
    before = order_statement(tests[:-1])
    statements = []
    for statement in replay.statements:
        statements.append(order_statement(earlier) if statement == before else statement)
    return replace(replay, statements=tuple(statements), order=(*earlier, *tests[-1:]))


def _failed_again(
    failure: Failure, again: Sequence[Outcome], passing: tuple[Outcome, ...]
) -> Replay:
    failing = tuple(outcome for outcome in again if outcome.failed)
    statement = "failed again when rerun"
    if len(failing) > 1:
        statement = f"{len(failing)} tests failed again"
    # A different exception may come from a different fault.
    exceptions = {outcome.exception for outcome in failing} - {failure.exception, ""}
    if exceptions and failure.exception != "failure":
        statement += f", this time with {', '.join(sorted(exceptions))}"
    passed_now = sum(outcome.outcome == "passed" for outcome in again)
    if passed_now:
        statement += f"; {counted(passed_now, 'other')} of the same cause passed this time"
    skipped = sum(outcome.outcome == "skipped" for outcome in again)
    if skipped:
        verb = "was" if skipped == 1 else "were"
        statement += f"; {counted(skipped, 'other')} of the same cause {verb} skipped this time"
    if passing:
        statement += f"; {counted(len(passing), 'neighbour')} passed"
    tests = frozenset(_ids(*again, *passing))
    return Replay(failing, passing, (statement,), tests=tests)


def _skipped_statement(outcome: Outcome) -> str:
    """Return a sentence on a failed test that was skipped when it ran again."""
    reason = one_line(outcome.message, 120)
    if reason:
        return f"was skipped when rerun ({reason}), so its failure could not be observed again"
    return "was skipped when rerun, so its failure could not be observed again"


def _not_run(missing: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence on the failing tests that could not run again, with the reasons."""
    if not missing:
        return ()
    reasons = "; ".join(dict.fromkeys(missing.values()))
    subject = counted(len(missing), "test")
    if len(missing) == 1:
        [nodeid] = missing
        subject = one_line(nodeid, 120)
    return (f"{subject} could not be run again: {reasons}",)


def _ids(*tests: Outcome | FinishedTest) -> dict[str, None]:
    """Return the node ids of tests, each once, in order."""
    return dict.fromkeys(test.nodeid for test in tests)


def add_warnings(replays: Sequence[Replay], warnings: Iterable[str]) -> list[Replay]:
    """Return the replays with `warnings` added to the first one."""
    first = replays[0]
    statements = (*first.statements, *warnings)
    return [replace(first, statements=statements), *replays[1:]]


def count_tests(replays: Iterable[Replay]) -> int:
    """Return how many tests ran again."""
    return len(frozenset[str]().union(*(replay.tests for replay in replays)))
