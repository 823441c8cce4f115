"""Calls of a target as the tests make them, and drafts that assert their outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pytest_starcoder.generate.docstrings import (
    comparison,
    documented_exceptions,
    expected_exception,
    is_exception,
)
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.draft_selection import DraftSelection
from pytest_starcoder.generate.executed_code import draft_modules
from pytest_starcoder.generate.suite_score import time_limit
from pytest_starcoder.runner.worker_messages import Checks
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import is_literal

# Tests whose calls of a target are observed.
MAX_CALLERS = 12

DOCSTRING = '"""Characterization: what the code did when this was written, right or not."""'


@dataclass(frozen=True)
class ObservedCall:
    """A call that a test can repeat.

    `outcome` is "returns 3" or "raises ValueError"; `changed_by` are the mutants of the target
    with another outcome.
    """

    import_line: str
    expression: str
    outcome: str
    changed_by: frozenset[Edit]

    @property
    def literal(self) -> str:
        """The returned value as a literal; empty if it is none."""
        kind, _, value = self.outcome.partition(" ")
        return value if kind == "returns" and is_literal(value) else ""

    @property
    def exception(self) -> str:
        """The built-in exception that is raised; empty if there is none."""
        kind, _, name = self.outcome.partition(" ")
        return name if kind == "raises" and is_exception(name) else ""

    @property
    def statement(self) -> str:
        """The statement that asserts the outcome; empty if no test can assert it."""
        if self.exception:
            return expected_exception(self.expression, self.exception)
        if self.literal:
            return f"assert {comparison(self.expression, self.literal)}"
        return ""


def observe_calls(
    selection: DraftSelection, target: Target, mutants: Sequence[Edit]
) -> list[ObservedCall]:
    """Return calls of a target with inputs like those of the tests, and the effect of mutants."""
    limits = _caller_limits(selection, target)
    if not limits:
        return []
    # The code as it is, and each mutant alone.
    candidates: list[tuple[Edit, ...]] = [()]
    for mutant in mutants:
        candidates.append((mutant,))
    drafts = draft_modules(selection.executions[nodeid] for nodeid in limits)
    inputs, behaviours = selection.trials.observe(candidates, Checks({}, limits), drafts)
    original, *mutated = behaviours
    calls = []
    for number, outcome in enumerate(original):
        import_line, _, expression = inputs[number].code.partition("\n")
        if not import_line:
            continue  # no test can make that call
        if target.is_async:
            expression = f"asyncio.run({expression})"
        changed_by = set()
        for mutant, outcomes in zip(mutants, mutated, strict=True):
            # A mutant that could not be tried has no outcomes.
            if outcomes and outcomes[number] != outcome:
                changed_by.add(mutant)
        calls.append(ObservedCall(import_line, expression, outcome, frozenset(changed_by)))
    return calls


def _caller_limits(selection: DraftSelection, target: Target) -> dict[str, float]:
    """Return some tests that call a target, with the seconds that each may take."""
    written: dict[str, float] = {}
    drawn: dict[str, float] = {}
    for nodeid, test in selection.executions.items():
        if test.calls(target):
            limits = drawn if test.draft and test.draft.draws_inputs else written
            limits[nodeid] = time_limit(test)
    # Inputs that people write read better than those that Hypothesis draws.
    return dict(islice((written or drawn).items(), MAX_CALLERS))


def telling_calls(selection: DraftSelection, target: Target) -> Iterator[ObservedCall]:
    """Yield a few calls whose outcomes change with as many living mutants as possible."""
    living = selection.score.living_in(target)
    if not living:
        return
    remaining = set(living)
    observed = observe_calls(selection, target, living)
    calls = [call for call in observed if call.statement]

    def worth(call: ObservedCall) -> tuple[int, int]:
        # Most mutants first, then the shortest call.
        return len(call.changed_by & remaining), -len(call.expression)

    # A greedy set cover: the smallest set of calls would take too long to find.
    while calls:
        best = max(calls, key=worth)
        if remaining.isdisjoint(best.changed_by):
            return
        remaining -= best.changed_by
        yield best


def characterisation_drafts(selection: DraftSelection, target: Target) -> Iterator[Draft]:
    """Yield tests that assert what the code does now where living mutants do something else."""
    for number, call in enumerate(telling_calls(selection, target), 1):
        imports = []
        for module in ("asyncio", "pytest"):
            if f"{module}." in call.statement:
                imports.append(f"import {module}")
        if imports:
            imports.append("")
        yield Draft(
            f"test_{target.test_stem}_characterised_{number}",
            (DOCSTRING, call.statement),
            (*imports, call.import_line),
            Origin.CHARACTERISATION,
            target,
            call.expression,
        )


def exception_drafts(selection: DraftSelection, target: Target) -> Iterator[Draft]:
    """Yield a test for each documented exception that an observed call raises."""
    exceptions = documented_exceptions(target)
    mutants = selection.score.mutants[target]
    if not exceptions or not mutants or target.is_async:
        return
    # Observing needs one mutant, to know which function to observe.
    calls = observe_calls(selection, target, mutants[:1])
    # The shortest first; equal lengths are sorted, so that the same call is chosen every time.
    calls.sort(key=lambda call: (len(call.expression), call.expression))
    for name in exceptions:
        raising = [call for call in calls if call.exception == name]
        if raising:
            shortest = raising[0]
            yield Draft(
                f"test_{target.test_stem}_raises_{name.lower()}",
                (shortest.statement,),
                ("import pytest", "", shortest.import_line),
                Origin.RAISES,
                target,
                f"Raises: {name}",
            )
