"""Behaviours that are the same, questions that tell fixes apart, and answers as tests."""

from __future__ import annotations

import pytest

from pytest_starcoder.fix.fix_comparison import (
    NO_QUESTION,
    ObservedEdits,
    Question,
    find_question,
    simplest_of_each_behaviour,
    write_test,
)
from pytest_starcoder.runner.worker_messages import Input
from pytest_starcoder.source.edits.edit import Edit


def observed(after: str, *outcomes: str, cost: float = 1.0) -> ObservedEdits:
    return ObservedEdits((Edit("shop.py", (0, 1), "x", after, "a kind", 1.0, 1),), cost, outcomes)


INPUTS = [Input("f(10)", "from shop import f\nf(10)"), Input("f(1)", "from shop import f\nf(1)")]


def test_simplest_of_equal_behaviour() -> None:
    long, short = observed("a long text", "returns 2.0"), observed("y", "returns 2")
    different = observed("z", "returns 3")
    assert simplest_of_each_behaviour([long, different, short]) == [short, different]


def test_unobserved_edits_are_distinct() -> None:
    assert len(simplest_of_each_behaviour([observed("a"), observed("b")])) == 2


def test_shortest_input_is_asked_about() -> None:
    first = observed("a", "returns 1", "returns 2")
    second = observed("b", "returns 4", "raises ValueError")
    question = find_question(INPUTS, [first, second])
    assert question.call == "f(1)"
    assert question.outcomes == ("returns 2", "raises ValueError")
    assert question.tests[0] == "    from shop import f\n\n    assert f(1) == 2\n"


def test_no_question() -> None:
    same = observed("a", "returns 1", "returns 2")
    assert find_question(INPUTS, [same]) == NO_QUESTION
    assert find_question(INPUTS, [same, observed("b", "returns 1.0", "returns 2")]) == NO_QUESTION


def test_question_without_tests() -> None:
    fixes = [observed("a", "returns 1", "returns 1"), observed("b", "returns <X>", "returns 1")]
    assert find_question(INPUTS, fixes) == Question("f(10)", ("returns 1", "returns <X>"))


@pytest.mark.parametrize(
    ("code", "outcome", "body"),
    [
        ("from m import f\nf(1)", "returns 2", "    from m import f\n\n    assert f(1) == 2\n"),
        (
            "from m import f\nf(1)",
            "raises KeyError",
            "    import pytest\n\n    from m import f\n\n"
            "    with pytest.raises(KeyError):\n        f(1)\n",
        ),
        ("from m import f\nf(1)", "raises Unknown", ""),
        ("from m import f\nf(1)", "returns <object>", ""),
        ("from m import f\nf(1)", "does not return", ""),
        ("", "returns 2", ""),
    ],
    ids=["value", "exception", "own-exception", "no-literal", "endless", "no-call"],
)
def test_write_test(code: str, outcome: str, body: str) -> None:
    assert write_test(code, outcome) == body
