"""The counts of an evaluation, and pass@k."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.evaluate.pass_at_k import Evaluation, Sampling, Verdict, pass_at

TEN = tuple(Verdict("a", number, "passed" if number < 3 else "timed out") for number in range(10))


def evaluation(*verdicts: Verdict) -> Evaluation:
    return Evaluation("mbpp", "", "", Sampling(), verdicts, 2)


@given(answers=st.integers(1, 7), drawn=st.data())
def test_pass_at_k(answers: int, drawn: st.DataObject) -> None:
    passed = drawn.draw(st.integers(0, answers))
    k = drawn.draw(st.integers(1, answers))
    choices = list(combinations([True] * passed + [False] * (answers - passed), k))
    assert math.isclose(pass_at(k, answers, passed), sum(map(any, choices)) / len(choices))


def test_reported_k() -> None:
    failing = [Verdict("b", number, "AssertionError: x") for number in range(10)]
    assert evaluation(*TEN, *failing).pass_at() == pytest.approx({1: 0.15, 10: 0.5})
    one_answer = evaluation(*TEN, Verdict("b", 0, "passed"))
    assert one_answer.pass_at() == pytest.approx({1: 0.65})
    assert evaluation().pass_at() == {}


def test_failures() -> None:
    failing = [Verdict("b", number, "AssertionError: x") for number in range(8)]
    assert list(evaluation(*TEN, *failing).failures().items()) == [
        ("AssertionError", 8),
        ("timed out", 7),
    ]
