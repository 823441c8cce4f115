"""Names and attributes exchanged for others of the same function or class."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping

from pytest_starcoder.source.edits.kind import Place, Text, kind

NUMBERS = frozenset(("int", "float", "bool", "complex"))


def _alike(one: str, other: str, types: Mapping[str, frozenset[str]]) -> bool:
    """Whether two variables were seen with types that may stand for each other, or not seen at all."""
    if one not in types or other not in types:
        return True
    first, second = types[one], types[other]
    return bool(first & second) or bool(first & NUMBERS and second & NUMBERS)


@kind("name", ast.Name, cost=1.7)
def name(node: ast.Name, place: Place) -> Iterator[Text]:
    parent = place.parents.get(node)
    names, types = place.scope(node).names, place.types(node)
    if isinstance(node.ctx, ast.Load):
        called = isinstance(parent, ast.Call) and parent.func is node
        if called or (hasattr(builtins, node.id) and node.id not in names):
            return
        for other in names:
            if other != node.id and _alike(node.id, other, types):
                yield Text(other, 1.7)
    elif isinstance(node.ctx, ast.Store) and isinstance(parent, ast.Assign | ast.AugAssign):
        for other in names:
            if other != node.id and _alike(node.id, other, types):
                yield Text(other, 2.1, "target")


@kind("name for a constant", ast.Constant, cost=2.2)
def named(node: ast.Constant, place: Place) -> Iterator[Text]:
    """A variable where a number or a text stands, in a comparison, a calculation, a call or an index."""
    parent = place.parents.get(node)
    if type(node.value) in (int, str, float) and isinstance(
        parent,
        ast.Compare | ast.BinOp | ast.Call | ast.Subscript | ast.Slice | ast.Return | ast.Assign,
    ):
        wanted = type(node.value).__name__
        for other in place.scope(node).names:
            types = place.types(node).get(other)
            if types is None or wanted in types or (wanted in NUMBERS and types & NUMBERS):
                yield Text(other, 2.2)


@kind("constant for a name", ast.Name, cost=2.3)
def constant(node: ast.Name, place: Place) -> Iterator[Text]:
    parent = place.parents.get(node)
    if isinstance(node.ctx, ast.Load) and isinstance(
        parent, ast.Compare | ast.BinOp | ast.Return | ast.Slice | ast.Call
    ):
        if isinstance(parent, ast.Call) and parent.func is node:
            return
        costs = {
            "0": 2.3,
            "1": 2.3,
            "None": 2.6,
            "2": 2.6,
            "True": 2.8,
            "False": 2.8,
            "[]": 2.9,
            '""': 2.9,
        }
        for other, cost in costs.items():
            yield Text(other, cost)


@kind("attribute", ast.Attribute, cost=1.8)
def attribute(node: ast.Attribute, place: Place) -> Iterator[str]:
    if isinstance(node.value, ast.Name) and node.value.id == "self":
        for other in place.scope(node).attributes:
            if other != node.attr:
                yield f"self.{other}"


@kind("self added", ast.Name, cost=1.8)
def with_self(node: ast.Name, place: Place) -> Iterator[str]:
    if node.id in place.scope(node).attributes:
        yield f"self.{node.id}"


@kind("attribute dropped", ast.Attribute, cost=2.4)
def without(node: ast.Attribute, place: Place) -> Iterator[str]:
    parent = place.parents.get(node)
    if isinstance(node.ctx, ast.Load) and not (
        isinstance(parent, ast.Call) and parent.func is node
    ):
        yield place.operand(node.value)
