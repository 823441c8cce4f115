"""Tells fixes apart by what they do, and finds an input on which two of them differ."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_starcoder.runner.messages import Input
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import is_literal

COST_PER_CHARACTER = 0.03
"""Cost of a longer text; decides between edits that do the same."""


@dataclass(frozen=True)
class ObservedEdits:
    """Edits with their outcome for each input; no outcomes if they could not be observed."""

    edits: tuple[Edit, ...]
    cost: float
    outcomes: tuple[str, ...]

    @property
    def behaviour(self) -> tuple[str, ...]:
        """The outcomes, in which 2.0 and 2 are the same."""
        return tuple(re.sub(r"\b(\d+)\.0\b", r"\1", outcome) for outcome in self.outcomes)

    @property
    def total_cost(self) -> float:
        added = sum(len(edit.after) - len(edit.before) for edit in self.edits)
        return self.cost + COST_PER_CHARACTER * added


@dataclass(frozen=True)
class Question:
    """Asks which of two fixes is right: a call, its two outcomes, and a test for each.

    There are no tests if an outcome cannot be written as code.
    """

    call: str = ""
    outcomes: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


NO_QUESTION = Question()


def simplest_of_each_behaviour(candidates: Iterable[ObservedEdits]) -> list[ObservedEdits]:
    """Return the cheapest candidate of each behaviour; those without outcomes are all distinct."""
    groups: dict[object, list[ObservedEdits]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.behaviour or candidate.edits, []).append(candidate)
    return [min(group, key=lambda candidate: candidate.total_cost) for group in groups.values()]


def find_question(inputs: Sequence[Input], fixes: Sequence[ObservedEdits]) -> Question:
    """Return the shortest input on which the first two fixes differ."""
    if len(fixes) < 2:
        return NO_QUESTION
    first, second = fixes[:2]
    behaviours = zip(inputs, first.behaviour, second.behaviour, strict=False)
    differing = []
    for position, (observed, outcome, other_outcome) in enumerate(behaviours):
        if outcome != other_outcome:
            differing.append((len(observed.text), position))
    if not differing:
        return NO_QUESTION
    _, position = min(differing)
    outcomes = first.outcomes[position], second.outcomes[position]
    tests = tuple(write_test(inputs[position].code, outcome) for outcome in outcomes)
    return Question(inputs[position].text, outcomes, tests if all(tests) else ())


def write_test(code: str, outcome: str) -> str:
    """Return the body of a test that an import and a call have an outcome; empty if impossible."""
    imports, _, call = code.partition("\n")
    verb, _, value = outcome.partition(" ")
    if not call:
        return ""
    if verb == "raises" and isinstance(getattr(builtins, value, None), type):
        return (
            f"    import pytest\n\n    {imports}\n\n"
            f"    with pytest.raises({value}):\n        {call}\n"
        )
    if verb == "returns" and is_literal(value):
        return f"    {imports}\n\n    assert {call} == {value}\n"
    return ""
