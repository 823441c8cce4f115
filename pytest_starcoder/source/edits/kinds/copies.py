"""Expressions and conditions that stand elsewhere in the function, here."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, is_value, kind

MOST = 24
"""Characters of an expression that is copied with names exchanged; longer ones are copied as they are."""


@kind(
    "condition joined",
    ast.Compare,
    ast.Call,
    ast.Name,
    ast.BoolOp,
    ast.UnaryOp,
    ast.Attribute,
    cost=3.2,
)
def joined(node: ast.expr, place: Place) -> Iterator[Text]:
    parent = place.parents.get(node)
    tested = isinstance(parent, ast.If | ast.While | ast.IfExp) and parent.test is node
    filtered = isinstance(parent, ast.comprehension) and node in parent.ifs
    returned = isinstance(parent, ast.Return) and isinstance(node, ast.Compare | ast.BoolOp)
    if not (tested or filtered or returned):
        return
    scope = place.scope(node)
    own = place.text(node)
    for other in (
        *scope.conditions,
        *(name for name in scope.names),
        *(f"not {name}" for name in scope.names),
    ):
        if other != own and "\n" not in other:
            yield Text(f"({own}) and ({other})", 3.2 if other in scope.conditions else 3.5)
            yield Text(f"({own}) or ({other})", 3.3 if other in scope.conditions else 3.6)
    for name in scope.names:
        types = place.types(node).get(name)
        if types is None or types & {"int", "float"}:
            for test in (
                f"{name} > 0",
                f"{name} > 1",
                f"{name} != 0",
                f"{name} == 0",
                f"{name} < 2",
            ):
                if test != own:
                    yield Text(f"({own}) and {test}", 3.8)
                    yield Text(f"({own}) or {test}", 3.8)


@kind(
    "expression copied",
    ast.Name,
    ast.Call,
    ast.BinOp,
    ast.Subscript,
    ast.Attribute,
    ast.Constant,
    cost=3.0,
)
def copied(node: ast.expr, place: Place) -> Iterator[Text]:
    parent = place.parents.get(node)
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or isinstance(
        parent, ast.Expr | ast.Attribute
    ):
        return
    if (isinstance(parent, ast.Call) and parent.func is node) or place.function(node) is None:
        return
    scope, own = place.scope(node), place.text(node)
    for other in scope.expressions:
        if other != own and "\n" not in other and len(other) <= 60:
            yield Text(other, 3.0)
            if len(other) <= MOST:
                for one, two in _exchanged(other, scope.names):
                    yield Text(_renamed(other, one, two), 4.0)


def _exchanged(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    words = {
        node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)
    }
    for one in names:
        if one in words:
            for other in names:
                if other != one:
                    yield one, other


def _renamed(text: str, one: str, other: str) -> str:
    import re

    return re.sub(rf"\b{re.escape(one)}\b", other, text)


@kind("operation added", ast.Name, ast.Subscript, ast.Call, cost=3.1)
def operated(node: ast.expr, place: Place) -> Iterator[Text]:
    """`x` as `x + y`, `x - y`, `x * y`, with the other names of the function."""
    if not is_value(node, place):
        return
    own = place.text(node)
    for name in place.scope(node).names:
        if name != own:
            for sign, cost in (
                ("+", 3.1),
                ("-", 3.2),
                ("*", 3.3),
                ("//", 3.6),
                ("%", 3.6),
                ("/", 3.6),
            ):
                yield Text(f"{own} {sign} {name}", cost)
    for number in ("2",):
        for sign in ("*", "//", "/", "**", "%"):
            yield Text(f"{own} {sign} {number}", 3.3)
    yield Text(f"-{own}", 3.1)
