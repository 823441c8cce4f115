"""Chooses the test that judges whether undoing a change explains a cause."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.runner.outcome import Lines, Outcome
from pytest_starcoder.runner.worker_messages import Record


@dataclass(frozen=True)
class Target:
    """A cause, and the test that judges: the quickest one that failed again.

    For an error of collection, that is the file. `executed` are the lines it runs or imports,
    and `imported` the latter alone. It fails only after the tests in `earlier`.
    """

    cause: Cause
    replay: Replay
    test: str
    exception: str
    executed: Lines = field(default_factory=dict)
    imported: Lines = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        return "::" not in self.test

    def is_failure(self, record: Record) -> bool:
        """Return whether the test fails with the exception of the run, as far as it is known."""
        names = {name.rpartition(".")[2] for name in (record.raised, self.exception) if name}
        return record.outcome == "failed" and len(names) <= 1


def choose_target(cause: Cause, replay: Replay, excluded: Collection[str]) -> Target | None:
    """Return the target of a cause; None if none of its tests may run with other code."""
    failing = [outcome for outcome in replay.failing if outcome.nodeid not in excluded]
    if failing:
        quickest = min(failing, key=lambda outcome: outcome.seconds)
        return Target(
            cause,
            replay,
            quickest.nodeid,
            quickest.exception,
            _executed(quickest),
            quickest.imported,
        )
    exception = cause.first.exception
    if len(replay.order) > 1:
        *earlier, test = replay.order
        return Target(cause, replay, test, exception, earlier=tuple(earlier))
    file = cause.nodeids[0]
    if cause.first.phase == "collect" and file.endswith(".py"):
        return Target(cause, replay, file, exception)
    return None


def involved_tests(targets: Sequence[Target]) -> tuple[list[str], list[str]]:
    """Return the failing tests of several targets, those that judge first, and the neighbours."""
    failing: dict[str, None] = {target.test: None for target in targets}
    neighbours: dict[str, None] = {}
    for target in targets:
        for nodeid in (*target.replay.failing_ids, *target.cause.nodeids):
            failing[nodeid] = None
        for outcome in target.replay.passing:
            neighbours[outcome.nodeid] = None
    return list(failing), list(neighbours)


def _executed(outcome: Outcome) -> Lines:
    lines = dict(outcome.imported)
    for path, numbers in outcome.lines.items():
        lines[path] = numbers | lines.get(path, frozenset())
    return lines
