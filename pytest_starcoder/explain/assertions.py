"""Describes a failed `assert` in the words of its source: 'mean([1, 2]) returned 3, ...'."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.source.functions import lines_of
from pytest_starcoder.source.syntax import is_literal, syntax_tree
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""Operators with exchanged sides."""

EXPECTATIONS = {
    "==": "{}",
    "!=": "anything but {}",
    "is": "the very object {}",
    "is not": "anything but the very object {}",
    "in": "it in {}",
    "not in": "it not in {}",
}


@dataclass(frozen=True)
class Comparison:
    """The two sides of a failed comparison, as short texts.

    `differences` take the right side for the expected one, `mirrored_differences` the left.
    """

    op: str
    lhs: str
    rhs: str
    differences: tuple[str, ...] = ()
    mirrored_differences: tuple[str, ...] = ()

    @classmethod
    def of_values(cls, op: str, lhs: object, rhs: object) -> Self:
        # Now, because the test may change the values before it ends.
        sentences = differences(op, lhs, rhs)
        mirrored = differences(op, rhs, lhs) if op == "==" else ()
        return cls(op, short_repr(lhs), short_repr(rhs), sentences, mirrored)

    @classmethod
    def of_message(cls, message: str) -> Self | None:
        """Read the comparison back from the message of pytest's rewritten `assert`."""
        line = message.partition("\n")[0]
        if not line.startswith("assert ") or len(line) > 1000:
            return None
        code = line.removeprefix("assert ")
        # A long value is shortened with `...`, and then is no Python.
        tree = syntax_tree(code)
        match tree.body if tree else []:
            case [ast.Expr(value=ast.Compare(left=left_node, ops=[_], comparators=[right_node]))]:
                lhs = ast.get_source_segment(code, left_node) or ""
                rhs = ast.get_source_segment(code, right_node) or ""
                op = code.removeprefix(lhs).removesuffix(rhs).strip()
                return cls(op, lhs, rhs)
        return None


def assertion_at(source: str, line: int) -> ast.Assert | None:
    """Return the innermost `assert` statement on a line."""
    spanning = [node for node in _assertions(source) if line in lines_of(node)]
    return spanning[-1] if spanning else None


@lru_cache(maxsize=16)  # a file with many failing tests is walked once
def _assertions(source: str) -> tuple[ast.Assert, ...]:
    tree = syntax_tree(source)
    nodes = ast.walk(tree) if tree else ()
    return tuple(node for node in nodes if isinstance(node, ast.Assert))


def value_differences(statement: ast.Assert, comparison: Comparison) -> tuple[str, ...]:
    """Return how the value that an assertion checks differs from the expected one."""
    test = statement.test
    if isinstance(test, ast.Compare) and _is_expected_first(test):
        return comparison.mirrored_differences or comparison.differences
    return comparison.differences


def describe_assertion(
    statement: ast.Assert, text: str, message: str, comparison: Comparison | None
) -> str:
    """Return one sentence on the actual and the expected value of a failed assertion.

    `text` is that of the exception, `message` the same on one line. `comparison` is the last one
    that pytest saw.
    """
    test = statement.test
    if isinstance(test, ast.Compare):
        if comparison is None or "assert " not in text:
            # The assertion was not rewritten, so the comparison is of an earlier one.
            comparison = Comparison.of_message(text)
        if comparison is not None:
            return _describe_comparison(statement, test, text, comparison)
    # A message of the user's says it best.
    if message and not message.startswith("assert "):
        return message
    return _describe_truth(test, message)


def _describe_truth(test: ast.expr, message: str) -> str:
    """Return the value of an expression that is not a single comparison."""
    value = message.removeprefix("assert ").partition(" + where ")[0].strip()
    actual, expected = "false", "true"
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
        value = value.removeprefix("not ")
        actual, expected = expected, actual
    code = one_line(ast.unparse(test), 120)
    # For these, pytest's message is the code with its values filled in.
    is_filled_in = isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp)
    if is_filled_in or value in ("", code):
        code = value or code
        value = actual
    return f"{code} is {value}, the test expects it to be {expected}"


def _describe_comparison(
    statement: ast.Assert, test: ast.Compare, text: str, comparison: Comparison
) -> str:
    if len(test.ops) > 1:
        sides = f"{comparison.lhs} {comparison.op} {comparison.rhs}"
        return f"{sides} is false, the test expects it to be true"
    sentence = _describe_sides(test, comparison)
    if statement.msg is None:
        return sentence
    note = one_line(text.partition("\n")[0], 100)
    return f"{sentence} ({note})" if note else sentence


def _describe_sides(test: ast.Compare, comparison: Comparison) -> str:
    """Return both sides of a comparison, each by its code and its value."""
    actual, value = test.left, comparison.lhs
    expected, expected_value = test.comparators[0], comparison.rhs
    op = comparison.op
    # A container on the right of `in` is never the value that the test checks.
    if _is_expected_first(test) and op not in ("in", "not in"):
        actual, expected = expected, actual
        value, expected_value = expected_value, value
        op = MIRRORED.get(op, op)
    template = EXPECTATIONS.get(op, f"it {op} {{}}")
    expectation = template.replace("{}", expected_value)
    # The code of a variable says where the expected value comes from.
    origin = one_line(ast.unparse(expected), 80)
    if not is_literal(expected) and origin != expected_value:
        expectation += f" ({origin})"
    code = one_line(ast.unparse(actual), 120)
    if code != value:
        verb = "returned" if isinstance(actual, ast.Call) else "is"
        value = f"{code} {verb} {value}"
    return f"{value}, the test expects {expectation}"


def _is_expected_first(test: ast.Compare) -> bool:
    return is_literal(test.left) and not is_literal(test.comparators[0])
