"""Tells fixes apart by what they do, and finds an input on which two of them differ."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_starcoder.runner.worker_messages import Input
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import is_literal

COST_PER_CHARACTER = 0.03
"""Cost per extra character; decides between edits that behave the same."""

WHOLE_FLOAT = re.compile(r"\b(\d+)\.0\b")


@dataclass(frozen=True)
class ObservedEdits:
    """Edits with their outcome for each input; no outcomes if they could not be observed."""

    edits: tuple[Edit, ...]
    cost: float
    outcomes: tuple[str, ...]

    @property
    def behaviour(self) -> tuple[str, ...]:
        """The outcomes, with 2.0 written as 2: few tests tell them apart."""
        without_zero = partial(WHOLE_FLOAT.sub, r"\1")
        return tuple(map(without_zero, self.outcomes))

    @property
    def total_cost(self) -> float:
        characters = 0
        for edit in self.edits:
            characters += len(edit.after) - len(edit.before)
        return self.cost + COST_PER_CHARACTER * characters


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
    simplest: dict[object, ObservedEdits] = {}
    for candidate in candidates:
        behaviour = candidate.behaviour or candidate.edits
        rival = simplest.get(behaviour)
        if rival is None or candidate.total_cost < rival.total_cost:
            simplest[behaviour] = candidate
    return list(simplest.values())


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
    # The shortest call is the easiest to judge.
    _, position = min(differing)
    outcomes = first.outcomes[position], second.outcomes[position]
    call = inputs[position]
    tests = tuple(write_test(call.code, outcome) for outcome in outcomes)
    if not all(tests):
        tests = ()
    return Question(call.text, outcomes, tests)


def write_test(code: str, outcome: str) -> str:
    """Return the body of a test which asserts the outcome of a call.

    `code` is an import and the call. The body is empty if the outcome has no literal.
    """
    imports, _, call = code.partition("\n")
    verb, _, value = outcome.partition(" ")
    if not call:
        return ""
    # Any other exception would have to be imported, and its module is unknown.
    if verb == "raises" and isinstance(getattr(builtins, value, None), type):
        return (
            f"    import pytest\n\n    {imports}\n\n"
            f"    with pytest.raises({value}):\n        {call}\n"
        )
    if verb == "returns" and is_literal(value):
        return f"    {imports}\n\n    assert {call} == {value}\n"
    return ""
