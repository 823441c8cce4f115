"""Assertions of the outcomes of observed calls."""

from __future__ import annotations

import pytest

from pytest_starcoder.generate.observed_calls import ObservedCall


@pytest.mark.parametrize(
    ("outcome", "statement"),
    [
        ("returns 3", "assert f(1) == 3"),
        ("returns None", "assert f(1) is None"),
        ("raises ValueError", "with pytest.raises(ValueError):\n    f(1)"),
        ("raises Unknown", ""),
        ("returns <object at 0x7f>", ""),
        ("overtime", ""),
    ],
)
def test_statement(outcome: str, statement: str) -> None:
    call = ObservedCall("from shop import f", "f(1)", outcome, frozenset())
    assert call.statement == statement
