"""Names and attributes replaced with others of the same function or class."""

from __future__ import annotations

import ast
import builtins

from pytest_starcoder.source.edits.context import Context, is_read
from pytest_starcoder.source.edits.kind import Replacement, Replacements, kind, with_costs

NUMBERS = frozenset(("int", "float", "bool", "complex"))
"""Types whose values can replace each other."""

CONSTANTS = {
    "0": 2.3,
    "1": 2.3,
    "None": 2.6,
    "2": 2.6,
    "True": 2.8,
    "False": 2.8,
    "[]": 2.9,
    '""': 2.9,
}
"""Constants that may stand for a variable, with their costs."""

Reader = ast.Compare | ast.BinOp | ast.Call | ast.Slice | ast.Return
"""Nodes in which a name and a constant are exchanged."""


def _have_similar_types(first: str, second: str, node: ast.Name, context: Context) -> bool:
    """Return whether two variables had related types, or one of them was not observed."""
    types = context.types(node).get(first, frozenset())
    if not types.isdisjoint(NUMBERS):
        types |= NUMBERS
    return not types or context.may_be(node, second, types)


@kind("name", cost=1.7)
def replace_name(node: ast.Name, context: Context) -> Replacements:
    """Replace a name with another one of the function."""
    names = context.scope(node).names
    if is_read(node):
        is_builtin = hasattr(builtins, node.id) and node.id not in names
        if is_builtin or context.is_called(node):
            return
        cost, kind_name = 1.7, "name"
    elif isinstance(context.parent(node), ast.Assign | ast.AugAssign):
        cost, kind_name = 2.1, "target"
    else:
        return
    for name in names:
        if name != node.id and _have_similar_types(node.id, name, node, context):
            yield Replacement(name, cost, kind_name)


@kind("name for a constant", cost=2.2)
def name_constant(node: ast.Constant, context: Context) -> Replacements:
    """Replace a number or string with a variable."""
    type_name = type(node.value).__name__
    if type_name not in ("int", "str", "float"):
        return
    if isinstance(context.parent(node), Reader | ast.Subscript | ast.Assign):
        types = NUMBERS if type_name in NUMBERS else {type_name}
        for name in context.scope(node).names:
            if context.may_be(node, name, types):
                yield name


@kind("constant for a name", cost=2.3)
def replace_with_constant(node: ast.Name, context: Context) -> Replacements:
    """Replace a variable with `0`, `None` or another constant."""
    if not is_read(node) or context.is_called(node):
        return
    if isinstance(context.parent(node), Reader):
        yield from with_costs(CONSTANTS)


@kind("attribute", cost=1.8)
def replace_attribute(node: ast.Attribute, context: Context) -> Replacements:
    """Replace `self.a` with `self.b`."""
    if isinstance(node.value, ast.Name) and node.value.id == "self":
        for attribute in context.scope(node).attributes:
            if attribute != node.attr:
                yield f"self.{attribute}"


@kind("self added", cost=1.8)
def add_self(node: ast.Name, context: Context) -> Replacements:
    """Replace `a` with `self.a`."""
    if node.id in context.scope(node).attributes:
        yield f"self.{node.id}"


@kind("attribute dropped", cost=2.4)
def drop_attribute(node: ast.Attribute, context: Context) -> Replacements:
    """Replace `a.b` with `a`."""
    if is_read(node) and not context.is_called(node):
        yield context.operand(node.value)
