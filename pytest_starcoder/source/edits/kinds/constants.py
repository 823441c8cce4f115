"""Constants changed: numbers by one, texts, booleans, None."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, kind

BRACKETS = "([{<)]}>"


def _is_text_alone(node: ast.Constant, place: Place) -> bool:
    return isinstance(place.parents.get(node), ast.Expr)


@kind("integer constant", ast.Constant, cost=1.0)
def integer(node: ast.Constant, place: Place) -> Iterator[Text]:
    value = node.value
    if type(value) is not int:
        return
    without = _neutral(node, place)
    for other in (value + 1, value - 1):
        if other != without:
            yield Text(str(other), 1.0)
    near = {0: 1.2, 1: 1.2, 2: 1.3, -1: 1.6, 3: 1.9, 10: 2.0, 100: 2.7}
    near = {
        value + 2: 2.2,
        value - 2: 2.3,
        value * 2: 2.1,
        value * 10: 2.6,
        value // 10: 2.6,
        -value: 1.8,
    } | near
    for other, cost in near.items():
        if other not in (value, value + 1, value - 1, without):
            yield Text(str(other), cost)


def _neutral(node: ast.Constant, place: Place) -> int | None:
    """What would make the operation around a number do nothing: dropping the operand says that better."""
    parent = place.parents.get(node)
    if isinstance(parent, ast.BinOp | ast.AugAssign):
        if isinstance(parent.op, ast.Add | ast.Sub):
            return 0
        if isinstance(parent.op, ast.Mult | ast.Div | ast.FloorDiv | ast.Pow):
            return 1
    return None


@kind("float constant", ast.Constant, cost=1.4)
def floating(node: ast.Constant, place: Place) -> Iterator[Text]:
    value = node.value
    if type(value) is float:
        near = {
            value + 0.1: 1.8,
            value - 0.1: 1.8,
            value * 2: 1.8,
            value / 2: 1.8,
            value * 10: 1.9,
            value / 10: 1.9,
        }
        near |= {value * 100: 2.2, value / 100: 2.2, -value: 1.9, 0.0: 1.5, 1.0: 1.5, 0.5: 1.7}
        for other, cost in (near | {value + 1: 1.4, value - 1: 1.4}).items():
            if other != value:
                yield Text(repr(float(f"{other:.12g}")), cost)


@kind("text constant", ast.Constant, cost=1.6)
def text(node: ast.Constant, place: Place) -> Iterator[Text]:
    value = node.value
    if not isinstance(value, str) or _is_text_alone(node, place):
        return
    changed = [(other, 1.6) for other in place.scope(node).strings if other != value]
    changed += [("", 1.5), (" ", 2.0), (",", 2.4), ("\n", 2.4)]
    if value:
        changed += [
            (value.swapcase(), 2.2),
            (value.lower(), 2.2),
            (value.upper(), 2.2),
            (value.strip(), 1.8),
        ]
        changed += [
            (f"{value} ", 2.0),
            (f" {value}", 2.1),
            (value[:-1], 2.0),
            (value[1:], 2.0),
            (value + value[-1], 2.2),
        ]
    changed += [
        (value.replace(one, other), 1.9)
        for one in BRACKETS
        if one in value
        for other in BRACKETS
        if other != one
    ]
    if len(value) == 1 and value.isalnum():
        changed += [(chr(ord(value) + 1), 2.1), (chr(ord(value) - 1), 2.1)]
    for other, cost in changed:
        if other != value:
            yield Text(repr(other), cost)
    for other in place.seen.strings:
        if other != value and other not in place.scope(node).strings:
            yield Text(repr(other), 2.7, "text of the test")


@kind("bytes constant", ast.Constant, cost=1.8)
def bytes_(node: ast.Constant, place: Place) -> Iterator[Text]:
    if isinstance(node.value, bytes):
        yield Text('b""', 1.8)


@kind("boolean", ast.Constant, cost=1.0)
def boolean(node: ast.Constant, place: Place) -> Iterator[Text]:
    if isinstance(node.value, bool):
        yield Text(str(not node.value), 1.0)
        yield Text("None", 1.9)


@kind("None", ast.Constant, cost=1.8)
def none(node: ast.Constant, place: Place) -> Iterator[Text]:
    if node.value is None:
        for other, cost in (
            ("False", 1.8),
            ("True", 1.8),
            ("0", 1.8),
            ("[]", 1.9),
            ('""', 1.9),
            ("{}", 2.1),
            ("1", 2.2),
        ):
            yield Text(other, cost)


@kind("empty collection", ast.List, ast.Dict, ast.Tuple, cost=2.0)
def empty(node: ast.List | ast.Dict | ast.Tuple, place: Place) -> Iterator[Text]:
    if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        held = node.keys if isinstance(node, ast.Dict) else node.elts
        if not held:
            for other in ("None", "[]", "{}", "()", "set()", "0", '""'):
                yield Text(other, 2.3)
