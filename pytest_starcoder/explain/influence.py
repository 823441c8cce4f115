"""Finds out which statements a failure depends on, by running its test with each disturbed.

A statement without influence can hardly be at fault. No file is changed: the disturbed code runs
in the sandbox in which fixes are tried, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.line_features import Effect, Statement
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import MIN_TEST_SECONDS, SLOWDOWN, Trials, Unavailable
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.disturbances import disturb_statements
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

MAX_STATEMENTS = 150
"""Maximum number of statements of one cause that are disturbed."""

BASELINE_SECONDS = 3.0
"""Limit of a test with nothing disturbed, in seconds of processor time."""


@dataclass(frozen=True)
class Suspicion:
    """Failing tests (node ids) with one cause, and the statements to disturb.

    The quickest test and the most suspicious statement come first.
    """

    tests: tuple[str, ...]
    statements: tuple[Statement, ...]


Effects = Mapping[Statement, Effect]


@dataclass(frozen=True)
class Disturber:
    """Disturbs the statements of a project in a sandbox of `level`.

    Tests in `excluded` are never run with changed code.
    """

    launch: Launch
    sources: SourceFiles
    level: Level
    deadline: Deadline
    excluded: Collection[str] = ()

    def measure(self, suspicions: Sequence[Suspicion]) -> list[Effects]:
        """Return the effects for each suspicion, as far as they are known at the deadline.

        There are none where the tests cannot run in the sandbox.
        """
        effects: list[Effects] = [{} for _ in suspicions]
        tests = [self._choose_test(suspicion) for suspicion in suspicions]
        chosen = [test for test in tests if test]
        if not chosen:
            return effects
        try:
            with Trials(self.launch, chosen, self.deadline, self.level) as trials:
                for index, suspicion in enumerate(suspicions):
                    if tests[index]:
                        effects[index] = self._disturb(tests[index], suspicion, trials)
        except (Unavailable, OSError):
            pass  # the ranking does without
        return effects

    def _choose_test(self, suspicion: Suspicion) -> str:
        return next((test for test in suspicion.tests if test not in self.excluded), "")

    def _disturb(self, test: str, suspicion: Suspicion, trials: Trials) -> Effects:
        baseline = trials.baseline([test], BASELINE_SECONDS).get(test)
        if baseline is None or baseline.outcome != "failed":
            return {}
        limit = max(MIN_TEST_SECONDS, SLOWDOWN * baseline.seconds)
        statements: dict[tuple[Edit, ...], Statement] = {}
        for edit, statement in _edits(suspicion.statements[:MAX_STATEMENTS], self.sources):
            statements[edit,] = statement
        effects: dict[Statement, Effect] = {}
        for edits, records in trials.run_in_batches(list(statements), {test: limit}):
            effect = _effect(baseline, records[0])
            if effect is not None:
                effects[statements[edits]] = effect
        return effects


def _edits(statements: Sequence[Statement], sources: SourceFiles) -> list[tuple[Edit, Statement]]:
    by_file: dict[str, dict[int, Statement]] = {}
    for statement in statements:
        by_file.setdefault(statement.path, {})[statement.first] = statement
    edits = []
    for path, of_file in by_file.items():
        for edit in disturb_statements(sources(path), path, of_file):
            edits.append((edit, of_file[edit.line]))
    rank = {statement: place for place, statement in enumerate(statements)}
    return sorted(edits, key=lambda pair: rank[pair[1]])


def _effect(before: Record, after: Record) -> Effect | None:
    """Return the effect of a disturbance; None if the test did not end."""
    if after.outcome == "passed":
        return Effect.PASSED
    if after.outcome != "failed":
        return None
    if (after.raised, after.place) != (before.raised, before.place):
        return Effect.CRASHED
    return Effect.NONE if after.note == before.note else Effect.MOVED
