"""Expressions and conditions copied from elsewhere in the function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import permutations

from pytest_starcoder.source.edits.context import Context, is_read
from pytest_starcoder.source.edits.kind import Replacement, Replacements, kind

MAX_COPY = 60
"""Characters of the longest expression that is copied."""

MAX_RENAMED_COPY = 24
"""Characters of the longest expression that is also copied with other names in it."""

Condition = ast.Compare | ast.Call | ast.Name | ast.BoolOp | ast.UnaryOp | ast.Attribute
Expression = ast.Name | ast.Call | ast.BinOp | ast.Subscript | ast.Attribute | ast.Constant


@kind("condition joined", cost=3.2)
def join_condition(node: Condition, context: Context) -> Replacements:
    """Replace a condition `a` with `(a) and (b)` or `(a) or (b)`."""
    if not _is_joinable(node, context):
        return
    text = context.text(node)
    for condition, and_cost, or_cost in _conditions(node, context):
        if condition not in (text, f"({text})") and "\n" not in condition:
            yield Replacement(f"({text}) and {condition}", and_cost)
            yield Replacement(f"({text}) or {condition}", or_cost)


def _is_joinable(node: Condition, context: Context) -> bool:
    parent = context.parent(node)
    if isinstance(parent, ast.Return):
        return isinstance(node, ast.Compare | ast.BoolOp)
    return context.is_condition(node) and not isinstance(parent, ast.Assert)


def _conditions(node: Condition, context: Context) -> Iterator[tuple[str, float, float]]:
    """Yield conditions, with their costs behind `and` and behind `or`."""
    scope = context.scope(node)
    for condition in scope.conditions:
        yield f"({condition})", 3.2, 3.3
    for name in scope.names:
        yield f"({name})", 3.5, 3.6
    for name in scope.names:
        yield f"(not {name})", 3.5, 3.6
    for name in scope.names:
        if not context.may_be(node, name, ("int", "float")):
            continue
        for comparison in ("> 0", "> 1", "!= 0", "== 0", "< 2"):
            yield f"{name} {comparison}", 3.8, 3.8


@kind("expression copied", cost=3.0)
def copy_expression(node: Expression, context: Context) -> Replacements:
    """Replace an expression with another one of the function."""
    if not _is_copied_over(node, context):
        return
    scope = context.scope(node)
    text = context.text(node)
    for expression in scope.expressions:
        if expression == text or "\n" in expression or len(expression) > MAX_COPY:
            continue
        yield Replacement(expression, 3.0)
        if len(expression) <= MAX_RENAMED_COPY:
            for renamed in _rename_each(expression, scope.names):
                yield Replacement(renamed, 4.0)


def _is_copied_over(node: Expression, context: Context) -> bool:
    if not is_read(node) or isinstance(context.parent(node), ast.Expr | ast.Attribute):
        return False
    return not context.is_called(node) and context.function(node) is not None


def _rename_each(expression: str, names: list[str]) -> Iterator[str]:
    """Yield the expression with one of its names replaced by another."""
    nodes = ast.walk(ast.parse(expression, mode="eval"))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    for name, replacement in permutations(names, 2):
        if name in used:
            yield re.sub(rf"\b{re.escape(name)}\b", replacement, expression)


@kind("operation added", cost=3.1)
def add_operation(node: ast.Name | ast.Subscript | ast.Call, context: Context) -> Replacements:
    """Replace `x` with `x + y`, `x - y` and so on, for each other name of the function."""
    if not context.is_value(node):
        return
    text = context.text(node)
    costs = {"+": 3.1, "-": 3.2, "*": 3.3, "//": 3.6, "%": 3.6, "/": 3.6}
    for name in context.scope(node).names:
        if name == text:
            continue
        for sign, cost in costs.items():
            yield Replacement(f"{text} {sign} {name}", cost)
    for sign in ("*", "//", "/", "**", "%"):
        yield Replacement(f"{text} {sign} 2", 3.3)
    yield Replacement(f"-{text}", 3.1)
