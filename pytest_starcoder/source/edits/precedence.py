"""Parentheses around replaced expressions, as Python's operator precedence needs them."""

from __future__ import annotations

import ast
from functools import lru_cache

from pytest_starcoder.source.edits.context import Context

ATOM = 15
"""Precedence of what never needs parentheses."""

_PRECEDENCE = {
    "NamedExpr": 0,
    "Yield": 0,
    "YieldFrom": 0,
    "Tuple": 0,
    "Lambda": 1,
    "IfExp": 2,
    "Or": 3,
    "And": 4,
    "Not": 5,
    "Compare": 6,
    "BitOr": 7,
    "BitXor": 8,
    "BitAnd": 9,
    "LShift": 10,
    "RShift": 10,
    "Add": 11,
    "Sub": 11,
    "Mult": 12,
    "Div": 12,
    "FloorDiv": 12,
    "Mod": 12,
    "MatMult": 12,
    "UAdd": 13,
    "USub": 13,
    "Invert": 13,
    "Pow": 13,
    "Await": 14,
}
"""How tightly expressions and operators bind, by the name of their class in `ast`."""

_BEFORE_PARENTHESIS = frozenset(" ([-+*/")
"""Characters before a parenthesis that can also stand before an atom."""


def fit_expression(node: ast.expr, text: str, context: Context) -> tuple[str, int, int]:
    """Return the text to write in place of a node, and the start and end of what it replaces.

    Parentheses are added where `text` needs them, and removed where it no longer does.
    """
    start, end = context.span(node)
    parent = context.parent(node)
    source = context.source
    is_enclosed = source[start - 1 : start] + source[end : end + 1] == "()"
    # The parentheses of a call or a class belong to it.
    is_list = isinstance(parent, ast.Call | ast.ClassDef | ast.comprehension)
    is_atom = _precedence(node) == ATOM
    precedence = _text_precedence(text)
    if is_enclosed and not is_atom and not is_list:
        # Without its parentheses, `not(a)` would become `nota`.
        is_separated = source[start - 2 : start - 1] in _BEFORE_PARENTHESIS
        if precedence == ATOM and is_separated:
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
    return _PRECEDENCE.get(type(operator).__name__, ATOM)


@lru_cache(maxsize=4096)
def _text_precedence(text: str) -> int:
    if text.startswith("("):
        return ATOM
    try:
        return _precedence(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError):
        return ATOM
