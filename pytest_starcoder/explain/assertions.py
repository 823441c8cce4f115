"""Describes a failed `assert` by its source: 'mean([1, 2]) returned 3, the test expects 1.5'."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from pytest_starcoder.explain.codes import is_code, status_facts
from pytest_starcoder.explain.differences import differences, is_expectation
from pytest_starcoder.explain.equality import plain
from pytest_starcoder.source.functions import lines_of
from pytest_starcoder.source.syntax import is_literal, syntax_tree
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""Operators that compare the same sides in exchanged order."""

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

    `differences` assume that the right side is the expected one, `mirrored_differences` the left.
    `integers` are both sides, if they are integers. `expectation` is the side that only a test
    would create, such as `pytest.approx(1)` or a snapshot: 'lhs', 'rhs' or empty.
    """

    op: str
    lhs: str
    rhs: str
    differences: tuple[str, ...] = ()
    mirrored_differences: tuple[str, ...] = ()
    integers: tuple[int, int] | None = None
    expectation: str = ""

    @classmethod
    def of_values(cls, op: str, lhs: object, rhs: object) -> Self:
        # Not later, because the test may change the values before it ends.
        sentences = differences(op, lhs, rhs)
        expectation = _expectation_of(lhs, rhs)
        mirrored = differences(op, rhs, lhs) if op == "==" and expectation != "rhs" else ()
        integers = _integers(lhs, rhs) if op == "==" else None
        return cls(op, short_repr(lhs), short_repr(rhs), sentences, mirrored, integers, expectation)

    @classmethod
    def of_message(cls, message: str) -> Self | None:
        """Read the comparison back from the message of pytest's rewritten `assert`."""
        line = message.partition("\n")[0]
        if not line.startswith("assert ") or len(line) > 1000:
            return None
        code = line.removeprefix("assert ")
        # pytest shortens a long value with `...`, and then the code does not parse.
        tree = syntax_tree(code)
        match tree:
            case ast.Module(body=[ast.Expr(value=ast.Compare(ops=[_]) as compare)]):
                lhs = ast.get_source_segment(code, compare.left) or ""
                rhs = ast.get_source_segment(code, compare.comparators[0]) or ""
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
    if tree is None:
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Assert))


def value_differences(statement: ast.Assert, comparison: Comparison) -> tuple[str, ...]:
    """Return sentences on how the value that an assertion checks differs from the expected one."""
    test = statement.test
    if not isinstance(test, ast.Compare):
        return comparison.differences
    if comparison.integers is not None and len(test.ops) == 1:
        for side, integers in _sides(test, comparison.integers):
            if is_code(side):
                return tuple(status_facts(side, *integers))
    if _is_expected_first(test, comparison):
        return comparison.mirrored_differences or comparison.differences
    return comparison.differences


def _sides(
    test: ast.Compare, integers: tuple[int, int]
) -> Iterator[tuple[ast.expr, tuple[int, int]]]:
    """Yield each side of a comparison, with both values, that of the side first."""
    first, second = integers
    yield test.left, (first, second)
    yield test.comparators[0], (second, first)


def _integers(lhs: object, rhs: object) -> tuple[int, int] | None:
    first, second = plain(lhs), plain(rhs)
    return (first, second) if type(first) is type(second) is int else None


def describe_assertion(
    statement: ast.Assert, text: str, message: str, comparison: Comparison | None
) -> str:
    """Return one sentence on the actual and the expected value of a failed assertion.

    `text` is the text of the exception, `message` the same on one line. `comparison` is the last
    one that pytest evaluated.
    """
    test = statement.test
    if isinstance(test, ast.Compare):
        if comparison is None or "assert " not in text:
            # This assertion was not rewritten, so the comparison belongs to an earlier one.
            comparison = Comparison.of_message(text)
        if comparison is not None:
            return _describe_comparison(statement, test, text, comparison)
    # The user's own message is better than a generated one.
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
    # For these, pytest's message is the code with its values inserted.
    has_values = isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp)
    if has_values or value in ("", code):
        code = value or code
        value = actual
    return f"{code} is {value}, the test expects it to be {expected}"


def _describe_comparison(
    statement: ast.Assert, test: ast.Compare, text: str, comparison: Comparison
) -> str:
    if len(test.ops) > 1:
        sides = f"{comparison.lhs} {comparison.op} {comparison.rhs}"
        return f"{sides} is false, the test expects it to be true"
    sentence = describe_sides(test, comparison)
    if statement.msg is None:
        return sentence
    note = one_line(text.partition("\n")[0], 100)
    return f"{sentence} ({note})" if note else sentence


def describe_sides(test: ast.Compare, comparison: Comparison) -> str:
    """Return both sides of a comparison, each by its code and its value."""
    actual, value = test.left, comparison.lhs
    expected, expected_value = test.comparators[0], comparison.rhs
    op = comparison.op
    # A container on the right of `in` is never the value that the test checks.
    if _is_expected_first(test, comparison) and op not in ("in", "not in"):
        actual, expected = expected, actual
        value, expected_value = expected_value, value
        op = MIRRORED.get(op, op)
    expectation = _expectation(op, expected, expected_value)
    code = one_line(ast.unparse(actual), 120)
    if code == value:
        return f"{value}, the test expects {expectation}"
    verb = "returned" if isinstance(actual, ast.Call) else "is"
    return f"{code} {verb} {value}, the test expects {expectation}"


def _expectation(op: str, expected: ast.expr, value: str) -> str:
    template = EXPECTATIONS.get(op, f"it {op} {{}}")
    expectation = template.replace("{}", value)
    # The code shows where a value that is no literal comes from.
    code = one_line(ast.unparse(expected), 80)
    if is_literal(expected) or code == value:
        return expectation
    return f"{expectation} ({code})"


def _is_expected_first(test: ast.Compare, comparison: Comparison) -> bool:
    """Return whether the left side of a comparison is the expected one."""
    if comparison.expectation:
        return comparison.expectation == "lhs"
    right = test.comparators[0]
    if isinstance(right, ast.Call) and ast.unparse(right.func).endswith("approx"):
        return False
    return is_literal(test.left) and not is_literal(right)


def _expectation_of(lhs: object, rhs: object) -> str:
    """Return the side that is an object only tests compare with; empty if neither or both are."""
    sides = is_expectation(lhs), is_expectation(rhs)
    return {(True, False): "lhs", (False, True): "rhs"}.get(sides, "")
