"""Failing tests run again beside passing ones: which tests, and what that shows.

Tests as they ran come in, with what each cause's own run again has shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import MISSING, FinishedTest, Outcome
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.text.display import counted, natural, one_line
from pytest_starcoder.text.node_ids import without_parameters

Value = TypeVar("Value")

NEIGHBOURS = 60
"""Passing tests that are run beside the failing ones of one cause at the most."""

FAILING = 4
"""Failing tests of one cause that are run again at the most."""

CAUSES = 30
"""Causes whose tests are run again at the most."""

WORTH = 5.0
"""Seconds that the passing tests may take in all, by what they took."""

SLOWER = 4
"""How much longer a traced test takes than it did (measured: 1.5 to 9 times)."""

NO_TIME = "it had not ended when the seconds of replay_timeout were over"
ENDED = "pytest ended before it had"
"""Why a test has no outcome that could be collected."""

EARLIER = 400
"""Tests that are run again at the most to find the order that fails."""


@dataclass(frozen=True)
class Replay:
    """What running tests again has shown of one cause: statements, and the outcomes that rank its lines.

    `order` holds the tests that must run for it to fail, where that is not the test alone.
    """

    failing: tuple[Outcome, ...] = ()
    passing: tuple[Outcome, ...] = ()
    statements: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    tests: frozenset[str] = field(default_factory=frozenset)

    @property
    def failing_ids(self) -> tuple[str, ...]:
        return tuple(outcome.nodeid for outcome in self.failing)


def replay(
    causes: Sequence[Cause],
    ran: Sequence[FinishedTest],
    launch: Launch,
    deadline: Deadline,
    text_of: Callable[[str], str],
    warn: Callable[[str], object] = lambda _: None,
) -> list[Replay]:
    """One replay a cause, empty where none of its tests may be run again; `ran` in the order in which they ran.

    `text_of` gives the text of a file by its path relative to the root; `warn` gets a
    sentence for each thing that running tests again may have left behind.
    """
    by_id = {test.nodeid: test for test in ran}
    passed = [test for test in ran if test.outcome == "passed" and test.quick]
    passed.sort(key=lambda test: natural(test.nodeid))  # in which order xdist ran them is chance
    chosen = [_failing(cause, by_id) for cause in causes[:CAUSES]]
    tests = dict.fromkeys(test.nodeid for failing in chosen for test in failing)
    if not tests:
        return [Replay() for _ in causes]
    failing = list(tests)
    beside = [
        _neighbours(cause.first, found[0], passed, text_of) if found else []
        for cause, found in zip(causes, chosen, strict=False)
    ]
    room = min(WORTH, deadline.remaining() / 2)
    for rank in range(NEIGHBOURS):  # the nearest of every cause first
        for near in beside:
            if rank < len(near) and near[rank].nodeid not in tests and room > 0:
                tests[near[rank].nodeid] = None
                room -= near[rank].seconds * SLOWER
    run_again = rerun(launch, list(tests), deadline, trace=list(tests), values=failing, warn=warn)
    outcomes = {outcome.nodeid: outcome for outcome in run_again if outcome.outcome != MISSING}
    reasons = {
        outcome.nodeid: outcome.message for outcome in run_again if outcome.outcome == MISSING
    }
    cut_off = NO_TIME if deadline.remaining() <= 0 else ENDED
    found = []
    for number, cause in enumerate(causes):
        mine = [test.nodeid for test in chosen[number]] if number < CAUSES else []
        again = [outcomes[nodeid] for nodeid in mine if nodeid in outcomes]
        missing = {
            nodeid: reasons.get(nodeid, cut_off) for nodeid in mine if nodeid not in outcomes
        }
        if not again:
            found.append(_none_run(missing))
            continue
        near_outcomes = (outcomes.get(test.nodeid) for test in beside[number])
        passing = tuple(
            near for near in near_outcomes if near is not None and near.outcome == "passed"
        )
        if any(outcome.failed for outcome in again):
            seen = _failed_again(cause.first, again, passing)
        else:
            seen = _passed_now(
                by_id[again[0].nodeid], again[0], passing, ran, launch, deadline, warn
            )
        found.append(replace(seen, statements=(*seen.statements, *_not_run(missing))))
    return found


def with_warnings(replays: Sequence[Replay], warnings: Iterable[str]) -> list[Replay]:
    """Return the replays, with the warnings added to the first one."""
    first, *others = replays
    return [replace(first, statements=(*first.statements, *warnings)), *others]


def _none_run(missing: Mapping[str, str]) -> Replay:
    """Return the replay of a cause whose tests did not run; tries the first by function name."""
    order = tuple(map(without_parameters, list(missing)[:1]))
    return Replay(statements=_not_run(missing), order=order)


def _not_run(missing: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence on the failing tests that could not be run again, if any, and why."""
    if not missing:
        return ()
    reasons = dict.fromkeys(missing.values())
    names = next(iter(missing)) if len(missing) == 1 else counted(len(missing), "test")
    return (f"{one_line(names, 120)} could not be run again: {'; '.join(reasons)}",)


def _failing(cause: Cause, by_id: Mapping[str, FinishedTest]) -> list[FinishedTest]:
    """The tests of a cause that are run again: the first, and others spread over all of them."""
    if not cause.first.frames and "crashed while running" in cause.first.message:
        return []  # it would end our child as it ended xdist's worker, and all tests behind it
    tests = [test for test in map(by_id.get, cause.nodeids) if test and test.quick]
    return spread(tests, FAILING)


def spread(tests: Sequence[Value], most: int) -> list[Value]:
    """At most so many of `tests`, the first among them, evenly."""
    return (
        list(tests)
        if len(tests) <= most
        else [tests[len(tests) * number // most] for number in range(most)]
    )


def _neighbours(
    failure: Failure,
    test: FinishedTest,
    passed: Sequence[FinishedTest],
    text_of: Callable[[str], str],
) -> list[FinishedTest]:
    """Passing tests, most telling first: the same function's, class's, file's, then of the same module under test.

    Half of those of one kind are the nearest, half are spread over the file: the
    nearest run what the failing one runs, the others tell what all tests run.
    """
    own, name = _parts(test.nodeid)
    place = natural(test.nodeid)
    kinds: list[list[FinishedTest]] = [[], [], []]
    for other in passed:
        if _parts(other.nodeid)[0] == own:
            kinds[_distance(name, _parts(other.nodeid)[1])].append(other)
    found: dict[str, FinishedTest] = {}
    for tests in kinds:
        before = sum(natural(other.nodeid) < place for other in tests)
        near = sorted(enumerate(tests), key=lambda entry: abs(entry[0] + 0.5 - before))
        found |= {other.nodeid: other for _, other in near[: NEIGHBOURS // 3]}
    found |= {
        other.nodeid: other
        for other in spread([test for tests in kinds for test in tests], NEIGHBOURS // 3)
    }
    frames = (*failure.callees, *reversed(failure.frames))
    modules = {_module(PurePosixPath(frame.path)) for frame in frames if frame.path != own}
    if modules:
        named = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(modules)))})\b")
        others = dict.fromkeys(_parts(other.nodeid)[0] for other in passed)
        about = {path for path in others if path != own and named.search(text_of(path))}
        elsewhere = [other for other in passed if _parts(other.nodeid)[0] in about]
        found |= {other.nodeid: other for other in spread(elsewhere, NEIGHBOURS // 3)}
    return list(found.values())[:NEIGHBOURS]


def _module(path: PurePosixPath) -> str:
    return path.parent.name or path.stem if path.stem == "__init__" else path.stem


def _parts(nodeid: str) -> tuple[str, str]:
    path, _, name = nodeid.partition("::")
    return path, name


def _distance(name: str, other: str) -> int:
    """0 for another parameter of the same function, 1 for the same class, else 2."""
    if name.partition("[")[0] == other.partition("[")[0]:
        return 0
    return 1 if "::" in name and name.rpartition("::")[0] == other.rpartition("::")[0] else 2


def _failed_again(
    failure: Failure, again: Sequence[Outcome], passing: tuple[Outcome, ...]
) -> Replay:
    failing = tuple(outcome for outcome in again if outcome.failed)
    told = (
        "failed again when it was run again"
        if len(failing) == 1
        else f"{len(failing)} tests failed again"
    )
    other = {outcome.exception for outcome in failing} - {failure.exception, ""}
    if other and failure.exception != "failure":
        told += f", this time with {', '.join(sorted(other))}"
    if len(failing) < len(again):
        told += (
            f"; {counted(len(again) - len(failing), 'other')} of the same cause passed this time"
        )
    if passing:
        told += f"; {counted(len(passing), 'neighbour')} passed"
    return Replay(failing, passing, (told,), (), _ids(*again, *passing))


def _passed_now(
    test: FinishedTest,
    outcome: Outcome,
    passing: tuple[Outcome, ...],
    ran: Sequence[FinishedTest],
    launch: Launch,
    deadline: Deadline,
    warn: Callable[[str], object],
) -> Replay:
    """What is found of a test that passes now: after which other ones it fails, or that it is flaky."""
    earlier = _earlier(test, ran)
    tests = _ids(outcome, *passing) | set(earlier)

    def fails(before: Sequence[str]) -> bool:
        outcomes = rerun(launch, [*before, test.nodeid], deadline, warn=warn)
        return any(again.nodeid == test.nodeid and again.failed for again in outcomes)

    if not earlier or deadline.remaining() <= 0:
        return Replay(
            (),
            passing,
            ("passed when it was run again: flaky, or dependent on what is outside it",),
            (),
            tests,
        )
    if not fails(earlier):
        told = "passed when it was run again, alone and in the order that had failed: flaky"
        if deadline.remaining() <= 0:
            told = "passed when it was run again; there was no time left to run the order that had failed"
        return Replay((), passing, (told,), (), tests)
    guilty = _narrowed(earlier, fails, deadline)
    after = guilty[0] if len(guilty) == 1 else f"the {len(guilty)} tests before it"
    told = f"passes alone and fails after {after}: dependent on the order"
    return Replay((), passing, (told,), (*guilty, test.nodeid), tests)


def _earlier(test: FinishedTest, ran: Sequence[FinishedTest]) -> list[str]:
    """The tests that the same process ran before `test`, or the last of them that can be run again in time."""
    before: list[str] = []
    for other in ran:
        if other.nodeid == test.nodeid:
            break
        if other.worker == test.worker and other.outcome != "skipped" and other.quick:
            before.append(other.nodeid)
    return before[-EARLIER:]


def _narrowed(
    tests: list[str], fails: Callable[[Sequence[str]], bool], deadline: Deadline
) -> list[str]:
    """The half, the quarter, … of `tests` that is still enough, as far as time allows."""
    while len(tests) > 1 and deadline.remaining() > 0:
        middle = len(tests) // 2
        half = next((part for part in (tests[middle:], tests[:middle]) if fails(part)), None)
        if half is None:
            break
        tests = half
    return tests


def _ids(*outcomes: Outcome) -> frozenset[str]:
    return frozenset(outcome.nodeid for outcome in outcomes)


def all_tests(replays: Iterable[Replay]) -> int:
    """How many tests were run again for them."""
    return len(frozenset().union(*(found.tests for found in replays)))
