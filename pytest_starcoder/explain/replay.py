"""Runs failing tests again next to passing ones, and concludes what that shows of each cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.neighbours import choose_neighbours, spread
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import MISSING, FinishedTest, Outcome
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.text.display import counted, natural, one_line
from pytest_starcoder.text.node_ids import without_parameters

MAX_FAILING = 4
"""Maximum number of failing tests of one cause that run again."""

MAX_CAUSES = 30
"""Maximum number of causes whose tests run again."""

MAX_NEIGHBOUR_SECONDS = 5.0
"""Seconds that the neighbours of all causes may take, estimated from their first run."""

TRACING_SLOWDOWN = 4
"""How many times longer a traced test takes (measured: 1.5 to 9 times)."""

MAX_EARLIER = 400
"""Maximum number of tests that run again to find the order that fails."""

TIMED_OUT = "it was still running when replay_timeout expired"
ENDED_EARLY = "pytest exited before it finished"
"""Reasons why a test has no outcome."""


@dataclass(frozen=True)
class Replay:
    """The results of running tests of one cause again.

    `failing` and `passing` are the outcomes that rank its lines, `statements` sentences for a
    person. `order` are the tests that must run for it to fail, unless the test alone fails.
    `tests` are all tests that ran.
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

    `warn` gets a sentence for each thing that running tests again may have left behind.
    """

    def __init__(
        self,
        finished: Sequence[FinishedTest],
        launch: Launch,
        deadline: Deadline,
        warn: Callable[[str], object] = lambda _: None,
        run_tests: Callable[..., Iterable[Outcome]] = rerun,
    ) -> None:
        self._finished = finished
        self._by_id = {test.nodeid: test for test in finished}
        self._launch = launch
        self._deadline = deadline
        self._warn = warn
        self._run_tests = run_tests

    def replay(self, causes: Sequence[Cause], read: Callable[[str], str]) -> list[Replay]:
        """Return a replay per cause; it is empty if none of its tests may run again.

        `read` returns the text of a file by its path relative to the root.
        """
        failing = [self._failing_tests(cause) for cause in causes[:MAX_CAUSES]]
        # Later causes keep their place, without tests.
        failing += [[] for _ in causes[MAX_CAUSES:]]
        passed = self._passed_tests()
        neighbours: list[list[FinishedTest]] = []
        for cause, tests in zip(causes, failing, strict=True):
            near = choose_neighbours(cause.first, tests[0], passed, read) if tests else []
            neighbours.append(near)
        outcomes = self._run_traced(failing, neighbours)
        replays = []
        for cause, tests, near in zip(causes, failing, neighbours, strict=True):
            again = [outcomes[test.nodeid] for test in tests]
            passing = [outcomes[test.nodeid] for test in near if test.nodeid in outcomes]
            passing = [outcome for outcome in passing if outcome.outcome == "passed"]
            replays.append(self._conclude(cause.first, again, tuple(passing)))
        return replays

    def _passed_tests(self) -> list[FinishedTest]:
        passed = [test for test in self._finished if test.outcome == "passed" and test.quick]
        # Under xdist, the order in which tests ran is chance.
        passed.sort(key=lambda test: natural(test.nodeid))
        return passed

    def _failing_tests(self, cause: Cause) -> list[FinishedTest]:
        """Return the failing tests to run again: the first, and others spread over all."""
        first = cause.first
        if not first.frames and "crashed while running" in first.message:
            return []  # it would end our process as it ended xdist's worker
        tests = [self._by_id[nodeid] for nodeid in cause.nodeids if nodeid in self._by_id]
        return spread([test for test in tests if test.quick], MAX_FAILING)

    def _run_traced(
        self, failing: Sequence[list[FinishedTest]], neighbours: Sequence[list[FinishedTest]]
    ) -> dict[str, Outcome]:
        """Run failing tests and as many neighbours as there is time for; return all outcomes."""
        failing_ids = list(dict.fromkeys(test.nodeid for tests in failing for test in tests))
        if not failing_ids:
            return {}
        tests = dict.fromkeys(failing_ids)
        seconds = min(MAX_NEIGHBOUR_SECONDS, self._deadline.remaining() / 2)
        for rank in range(max(map(len, neighbours))):  # the nearest of every cause first
            for near in neighbours:
                if rank < len(near) and near[rank].nodeid not in tests and seconds > 0:
                    tests[near[rank].nodeid] = None
                    seconds -= near[rank].seconds * TRACING_SLOWDOWN
        # All tests are traced, and the failing ones record their calls as well.
        ids = list(tests)
        ran = self._run_tests(
            self._launch, ids, self._deadline, trace=ids, values=failing_ids, warn=self._warn
        )
        reason = TIMED_OUT if self._deadline.remaining() <= 0 else ENDED_EARLY
        # A test without an outcome was cut off, or never started.
        outcomes = {nodeid: Outcome(nodeid, MISSING, message=reason) for nodeid in failing_ids}
        return outcomes | {outcome.nodeid: outcome for outcome in ran}

    def _conclude(
        self, failure: Failure, again: list[Outcome], passing: tuple[Outcome, ...]
    ) -> Replay:
        """Return what the outcomes of a cause's failing tests and their neighbours show."""
        missing = {test.nodeid: test.message for test in again if test.outcome == MISSING}
        ran = [outcome for outcome in again if outcome.outcome != MISSING]
        if not ran:
            # The first test may have another parameter now, so it is named by its function.
            order = tuple(without_parameters(nodeid) for nodeid in list(missing)[:1])
            replay = Replay(order=order)
        elif any(outcome.failed for outcome in ran):
            replay = _failed_again(failure, ran, passing)
        else:
            replay = self._passed_now(ran[0], passing)
        return replace(replay, statements=(*replay.statements, *_not_run(missing)))

    def _passed_now(self, outcome: Outcome, passing: tuple[Outcome, ...]) -> Replay:
        """Return the tests after which a test fails that passes alone, or that it is flaky."""
        earlier = self._earlier_tests(outcome.nodeid)
        replay = Replay(passing=passing, tests=_ids(outcome, *passing) | set(earlier))
        if not earlier or self._deadline.remaining() <= 0:
            statement = "passed when rerun: flaky, or dependent on something outside the test"
            return replace(replay, statements=(statement,))
        if not self._fails_after(earlier, outcome.nodeid):
            statement = "passed when rerun alone and in the failing order: flaky"
            if self._deadline.remaining() <= 0:
                missed = "no time was left to rerun the failing order"
                statement = f"passed when rerun; {missed}"
            return replace(replay, statements=(statement,))
        guilty = self._narrow_down(earlier, outcome.nodeid)
        after = guilty[0] if len(guilty) == 1 else f"the {len(guilty)} tests before it"
        statement = f"passes alone and fails after {after}: dependent on the order"
        return replace(replay, statements=(statement,), order=(*guilty, outcome.nodeid))

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
        """Halve the tests after which a test fails, as long as one half is enough."""
        while len(earlier) > 1 and self._deadline.remaining() > 0:
            middle = len(earlier) // 2
            if self._fails_after(earlier[middle:], nodeid):
                earlier = earlier[middle:]
            elif self._fails_after(earlier[:middle], nodeid):
                earlier = earlier[:middle]
            else:
                break
        return earlier


def _failed_again(
    failure: Failure, again: Sequence[Outcome], passing: tuple[Outcome, ...]
) -> Replay:
    failing = tuple(outcome for outcome in again if outcome.failed)
    statement = "failed again when rerun"
    if len(failing) > 1:
        statement = f"{len(failing)} tests failed again"
    # Another exception may be another fault.
    exceptions = {outcome.exception for outcome in failing} - {failure.exception, ""}
    if exceptions and failure.exception != "failure":
        statement += f", this time with {', '.join(sorted(exceptions))}"
    passed_now = len(again) - len(failing)
    if passed_now:
        statement += f"; {counted(passed_now, 'other')} of the same cause passed this time"
    if passing:
        statement += f"; {counted(len(passing), 'neighbour')} passed"
    return Replay(failing, passing, (statement,), (), _ids(*again, *passing))


def _not_run(missing: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence on the failing tests that could not run again, by the reason."""
    if not missing:
        return ()
    reasons = "; ".join(dict.fromkeys(missing.values()))
    names = counted(len(missing), "test")
    if len(missing) == 1:
        [names] = missing
    return (f"{one_line(names, 120)} could not be run again: {reasons}",)


def _ids(*outcomes: Outcome) -> frozenset[str]:
    return frozenset(outcome.nodeid for outcome in outcomes)


def add_warnings(replays: Sequence[Replay], warnings: Iterable[str]) -> list[Replay]:
    """Return the replays, with the warnings added to the first one."""
    first = replays[0]
    first = replace(first, statements=(*first.statements, *warnings))
    return [first, *replays[1:]]


def count_tests(replays: Iterable[Replay]) -> int:
    """Return how many tests ran again."""
    return len(frozenset[str]().union(*(replay.tests for replay in replays)))
