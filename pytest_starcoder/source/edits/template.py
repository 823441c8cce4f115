"""Templates of replacements, filled with the parts of a node."""

from __future__ import annotations

import ast
from typing import Any

from pytest_starcoder.source.edits.context import Context

SIGNS = {
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "Div": "/",
    "FloorDiv": "//",
    "Mod": "%",
    "Pow": "**",
    "LShift": "<<",
    "RShift": ">>",
    "BitAnd": "&",
    "BitOr": "|",
    "BitXor": "^",
    "MatMult": "@",
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
    "Eq": "==",
    "NotEq": "!=",
    "In": "in",
    "NotIn": "not in",
    "Is": "is",
    "IsNot": "is not",
    "And": "and",
    "Or": "or",
}
"""Operators as they are written, by the name of their class in `ast`."""


def sign_of(operator: ast.AST) -> str:
    return SIGNS[type(operator).__name__]


def fill(template: str, node: ast.expr | ast.stmt, context: Context) -> str:
    """Return `template` with the parts of a node in it, as they are written.

    `{left}` is an operand with its parentheses, `{op}` the sign of an operator and
    `{right.left}` a part of a part. `{right:BinOp}` gets parentheses if it is a `BinOp`
    without any.
    """
    parts = {name: _Part(value, context) for name, value in ast.iter_fields(node)}
    return template.format(**parts)


class _Part:
    """A part of a node, as `str.format` looks it up and writes it."""

    def __init__(self, value: Any, context: Context) -> None:
        self._value = value
        self._context = context

    def __getattr__(self, name: str) -> _Part:
        return _Part(getattr(self._value, name), self._context)

    def __getitem__(self, index: int) -> _Part:
        return _Part(self._value[index], self._context)

    def __format__(self, enclosed_type: str) -> str:
        if isinstance(self._value, str):
            return self._value
        if not isinstance(self._value, ast.expr):
            return sign_of(self._value)
        if enclosed_type:
            return self._context.enclosed(self._value, getattr(ast, enclosed_type))
        return self._context.operand(self._value)
