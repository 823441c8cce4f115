"""Constants replaced: numbers near them, similar strings, booleans, None."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.context import Context, is_docstring, is_read
from pytest_starcoder.source.edits.kind import Replacement, Replacements, kind, with_costs

BRACKETS = "([{<)]}>"

COMMON_INTEGERS = {0: 1.2, 1: 1.2, 2: 1.3, -1: 1.6, 3: 1.9, 10: 2.0, 100: 2.7}
"""Integers that are often meant, with their costs."""


@kind("integer constant", cost=1.0)
def replace_integer(node: ast.Constant, context: Context) -> Replacements:
    """Replace `1` with `2` or another nearby or common number."""
    value = node.value
    if type(value) is not int:
        return
    neighbours = {value + 1: 1.0, value - 1: 1.0}
    # Neighbours come first and last: of several costs of a number the last one counts.
    costs = {
        **neighbours,
        value + 2: 2.2,
        value - 2: 2.3,
        value * 2: 2.1,
        value * 10: 2.6,
        value // 10: 2.6,
        -value: 1.8,
        **COMMON_INTEGERS,
        **neighbours,
    }
    excluded = (value, _neutral_operand(context.parent(node)))
    for number, cost in costs.items():
        if number not in excluded:
            yield Replacement(str(number), cost)


def _neutral_operand(operation: ast.AST | None) -> int | None:
    """Return the right operand that has no effect: dropping the operand is a kind of its own."""
    if isinstance(operation, ast.BinOp | ast.AugAssign):
        if isinstance(operation.op, ast.Add | ast.Sub):
            return 0
        if isinstance(operation.op, ast.Mult | ast.Div | ast.FloorDiv | ast.Pow):
            return 1
    return None


@kind("float constant", cost=1.4)
def replace_float(node: ast.Constant, context: Context) -> Replacements:
    """Replace `0.5` with `0.6` or another nearby number."""
    value = node.value
    if type(value) is not float:
        return
    costs = {
        value + 0.1: 1.8,
        value - 0.1: 1.8,
        value * 2: 1.8,
        value / 2: 1.8,
        value * 10: 1.9,
        value / 10: 1.9,
        value * 100: 2.2,
        value / 100: 2.2,
        -value: 1.9,
        0.0: 1.5,
        1.0: 1.5,
        0.5: 1.7,
        value + 1: 1.4,
        value - 1: 1.4,
    }
    for number, cost in costs.items():
        if number != value:
            yield Replacement(repr(float(f"{number:.12g}")), cost)


@kind("text constant", cost=1.6)
def replace_string(node: ast.Constant, context: Context) -> Replacements:
    """Replace a string with another one of the function, or a variation of it."""
    value = node.value
    parent = context.parent(node)
    if not isinstance(value, str) or (parent is not None and is_docstring(parent)):
        return
    scope = context.scope(node)
    for text, cost in _similar_strings(value, scope.strings):
        if text != value:
            yield Replacement(repr(text), cost)
    for text in context.observed.strings:
        if text != value and text not in scope.strings:
            yield Replacement(repr(text), 2.7, "text of the test")


def _similar_strings(value: str, strings: list[str]) -> Iterator[tuple[str, float]]:
    """Yield strings that may be meant instead of `value`, each with its cost."""
    for text in strings:
        yield text, 1.6
    yield from {"": 1.5, " ": 2.0, ",": 2.4, "\n": 2.4}.items()
    if value:
        yield value.swapcase(), 2.2
        yield value.lower(), 2.2
        yield value.upper(), 2.2
        yield value.strip(), 1.8
        yield f"{value} ", 2.0
        yield f" {value}", 2.1
        yield value[:-1], 2.0
        yield value[1:], 2.0
        yield value + value[-1], 2.2
    for bracket in BRACKETS:
        if bracket in value:
            for replacement in BRACKETS:
                yield value.replace(bracket, replacement), 1.9
    if len(value) == 1 and value.isalnum():
        yield chr(ord(value) + 1), 2.1
        yield chr(ord(value) - 1), 2.1


@kind("bytes constant", cost=1.8)
def empty_bytes(node: ast.Constant, context: Context) -> Replacements:
    """Replace bytes with empty ones."""
    if isinstance(node.value, bytes):
        yield 'b""'


@kind("boolean", cost=1.0)
def replace_boolean(node: ast.Constant, context: Context) -> Replacements:
    """Replace `True` with `False`, and back, or with `None`."""
    if isinstance(node.value, bool):
        yield str(not node.value)
        yield Replacement("None", 1.9)


@kind("None", cost=1.8)
def replace_none(node: ast.Constant, context: Context) -> Replacements:
    """Replace `None` with `False` or another empty value."""
    costs = {"False": 1.8, "True": 1.8, "0": 1.8, "[]": 1.9, '""': 1.9, "{}": 2.1, "1": 2.2}
    if node.value is None:
        yield from with_costs(costs)


@kind("empty collection", cost=2.3)
def replace_empty(node: ast.List | ast.Dict | ast.Tuple, context: Context) -> Replacements:
    """Replace `[]` with `{}` or another empty value."""
    elements = node.keys if isinstance(node, ast.Dict) else node.elts
    if is_read(node) and not elements:
        yield from ("None", "[]", "{}", "()", "set()", "0", '""')
