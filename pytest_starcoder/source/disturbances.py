"""Disturbs statements, one at a time, so that a test that depends on one ends differently."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import Offsets, syntax_tree

Removable = ast.AugAssign | ast.Expr | ast.Raise | ast.Delete | ast.Continue | ast.Break


def disturb_statements(source: str, path: str, lines: Collection[int]) -> Iterator[Edit]:
    """Yield an edit of each statement that begins on one of `lines` (1-based).

    A condition is negated, a value becomes None, a loop has no items, and others are left out.
    Source that does not parse has none.
    """
    tree = syntax_tree(source)
    if tree is None:
        return
    offsets = Offsets(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or node.lineno not in lines:
            continue
        change = _change(node)
        if change is None:
            continue
        target, replacement = change
        start = offsets.of(target.lineno, target.col_offset)
        end = offsets.of(target.end_lineno or target.lineno, target.end_col_offset or 0)
        before = source[start:end]
        after = replacement.format(before)
        yield Edit(path, (start, end), before, after, "disturb", 1.0, node.lineno)


def _change(statement: ast.stmt) -> tuple[ast.expr | ast.stmt, str] | None:
    """Return what is replaced in a statement, and by what; {} stands for the original text."""
    match statement:
        case ast.If(test=test) | ast.While(test=test):
            return test, "not ({})"
        case ast.For(iter=items):
            return items, "()"
        case (
            ast.Return(value=ast.expr() as value)
            | ast.Assign(value=value)
            | ast.AnnAssign(value=ast.expr() as value)
        ):
            return value, "None"
        case ast.Expr(value=ast.Constant()):
            return None  # a docstring
        case ast.Expr(value=ast.Yield() | ast.YieldFrom() | ast.Await()):
            return None  # without it, the function would be of another kind
        case _ if isinstance(statement, Removable):
            return statement, "pass"
    return None
