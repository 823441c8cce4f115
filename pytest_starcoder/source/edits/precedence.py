"""Parentheses around replaced expressions, as Python's operator precedence needs them."""

from __future__ import annotations

import ast
from functools import lru_cache

from pytest_starcoder.source.edits.context import Context

ATOM = 15
"""Precedence of what never needs parentheses."""

_PRECEDENCE: dict[type[ast.AST], int] = {
    ast.NamedExpr: 0,
    ast.Yield: 0,
    ast.YieldFrom: 0,
    ast.Tuple: 0,
    ast.Lambda: 1,
    ast.IfExp: 2,
    ast.Or: 3,
    ast.And: 4,
    ast.Not: 5,
    ast.Compare: 6,
    ast.BitOr: 7,
    ast.BitXor: 8,
    ast.BitAnd: 9,
    ast.LShift: 10,
    ast.RShift: 10,
    ast.Add: 11,
    ast.Sub: 11,
    ast.Mult: 12,
    ast.Div: 12,
    ast.FloorDiv: 12,
    ast.Mod: 12,
    ast.MatMult: 12,
    ast.UAdd: 13,
    ast.USub: 13,
    ast.Invert: 13,
    ast.Pow: 13,
    ast.Await: 14,
}
"""How tightly expressions and operators bind, by Python's grammar."""

_BEFORE_PARENTHESIS = frozenset(" ([-+*/")
"""Characters before a parenthesis that can also stand before an atom."""


def fit_expression(node: ast.expr, text: str, context: Context) -> tuple[str, int, int]:
    """Return the text to write in place of a node, and the start and end of what it replaces.

    Parentheses are added where `text` needs them, and removed where it no longer does.
    """
    start, end = context.span(node)
    parent = context.parent(node)
    source = context.source
    is_enclosed = source[start - 1 : start] == "(" and source[end : end + 1] == ")"
    is_atom = _precedence(node) == ATOM
    precedence = _text_precedence(text)
    # The parentheses of a call or a class belong to it.
    if (
        is_enclosed
        and not is_atom
        and not isinstance(parent, ast.Call | ast.ClassDef | ast.comprehension)
    ):
        if precedence == ATOM and source[start - 2 : start - 1] in _BEFORE_PARENTHESIS:
            return text, start - 1, end + 1
        return text, start, end
    required = _required_precedence(node, parent)
    if precedence < required or (is_atom and precedence == required < ATOM):
        text = f"({text})"
    return text, start, end


def _required_precedence(node: ast.expr, parent: ast.AST | None) -> int:
    """Return the precedence that an atom's replacement needs to go without parentheses."""
    if isinstance(parent, ast.Attribute | ast.Subscript) and parent.value is node:
        return ATOM
    if isinstance(parent, ast.Call) and parent.func is node:
        return ATOM
    if isinstance(parent, ast.Starred | ast.Await):
        return ATOM
    if not isinstance(parent, ast.expr):
        return 0
    precedence = _precedence(parent)
    return 0 if precedence == ATOM else precedence


def _precedence(node: ast.AST) -> int:
    operator = getattr(node, "op", node)
    return _PRECEDENCE.get(type(operator), ATOM)


@lru_cache(maxsize=4096)
def _text_precedence(text: str) -> int:
    if text.startswith("("):
        return ATOM
    try:
        return _precedence(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError):
        return ATOM
