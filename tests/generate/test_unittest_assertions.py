"""Assertions of unittest, rewritten as those of pytest."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.generate.unittest_assertions import to_pytest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.assertEqual(f(1), 2)", "assert f(1) == 2"),
        ("self.assertNotEqual(f(1), 2, 'why')", "assert f(1) != 2"),
        ("self.assertIn(1, f())", "assert 1 in f()"),
        ("self.assertGreaterEqual(f(), 3)", "assert f() >= 3"),
        ("self.assertTrue(f())", "assert f()"),
        ("self.assertFalse(f())", "assert not f()"),
        ("self.assertIsNone(f())", "assert f() is None"),
        ("self.assertIsNotNone(f())", "assert f() is not None"),
        ("self.assertAlmostEqual(f(), 0.3, 7)", "assert f() == pytest.approx(0.3)"),
        ("self.assertIsInstance(f(), str)", "assert isinstance(f(), str)"),
        (
            "self.assertRaises(ValueError, f, 1, x=2)",
            "with pytest.raises(ValueError):\n    f(1, x=2)",
        ),
        (
            "with self.assertRaises(ValueError):\n    f()",
            "with pytest.raises(ValueError):\n    f()",
        ),
        (
            "for x in (1, 2):\n    self.assertEqual(f(x), x)",
            "for x in (1, 2):\n    assert f(x) == x",
        ),
        ("self.assertEqual(f())", "self.assertEqual(f())"),
        ("self.something(1, 2)", "self.something(1, 2)"),
        ("assert f() == 1", "assert f() == 1"),
        ("mock.assertEqual(1, 2)", "mock.assertEqual(1, 2)"),
    ],
)
def test_rewriting(before: str, after: str) -> None:
    assert ast.unparse(to_pytest(ast.parse(before).body[0])) == after


@given(
    st.sampled_from(["assertEqual", "assertTrue", "assertRaises", "assertIn"]), st.integers(0, 4)
)
def test_any_arguments(name: str, count: int) -> None:
    arguments = ", ".join(f"f({number})" for number in range(count))
    ast.parse(ast.unparse(to_pytest(ast.parse(f"self.{name}({arguments})").body[0])))
