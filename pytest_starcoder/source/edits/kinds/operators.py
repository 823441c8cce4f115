"""Operators exchanged, dropped, negated."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, kind

SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.And: "and", ast.Or: "or",
}  # fmt: skip

COMPARED = {
    "<": "<= > >= != ==", "<=": "< >= > == !=", ">": ">= < <= != ==", ">=": "> <= < == !=",
    "==": "!= <= >= < >", "!=": "== < > <= >=",
}  # fmt: skip

CALCULATED = {
    "+": "- * // % /", "-": "+ * // % /", "*": "+ / ** // - %", "/": "// * % -", "//": "/ % * -", "%": "// / *",
    "**": "* + //", "<<": ">>", ">>": "<<", "&": "| ^", "|": "& ^", "^": "& |",
}  # fmt: skip


NEUTRAL_1 = ("*", "/", "//", "**")


@kind("comparison operator", ast.Compare, cost=1.0)
def comparison(node: ast.Compare, place: Place) -> Iterator[str | Text]:
    for index, operator in enumerate(node.ops):
        sign = SIGNS[type(operator)]
        others = COMPARED.get(sign, "").split() or {
            "in": ["not in"], "not in": ["in"], "is": ["is not", "=="], "is not": ["is", "!="],
        }[sign]  # fmt: skip
        if sign == "==":
            others = [*others, "in", "is"]
        for rank, other in enumerate(others):
            yield Text(_compare(node, place, index, other), 1.0 + 0.12 * rank)


def _compare(node: ast.Compare, place: Place, index: int, sign: str) -> str:
    told = place.operand(node.left)
    for number, (operator, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
        told += f" {sign if number == index else SIGNS[type(operator)]} {place.operand(right)}"
    return told


@kind("comparison turned", ast.Compare, cost=1.8)
def turned(node: ast.Compare, place: Place) -> Iterator[str]:
    if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        yield f"{place.operand(node.comparators[0])} {SIGNS[type(node.ops[0])]} {place.operand(node.left)}"


@kind("comparison shortened", ast.Compare, cost=1.9)
def shortened(node: ast.Compare, place: Place) -> Iterator[str]:
    """A chain without its first or last part."""
    parts = [node.left, *node.comparators]
    if len(parts) > 2:
        for first, last in ((1, len(parts)), (0, len(parts) - 1)):
            told = place.operand(parts[first])
            for number in range(first + 1, last):
                told += f" {SIGNS[type(node.ops[number - 1])]} {place.operand(parts[number])}"
            yield told


@kind("arithmetic operator", ast.BinOp, cost=1.1)
def arithmetic(node: ast.BinOp, place: Place) -> Iterator[Text]:
    sign = SIGNS[type(node.op)]
    left, right = place.operand(node.left), place.operand(node.right)
    for rank, other in enumerate(CALCULATED.get(sign, "").split()):
        if (right == "1" and other in NEUTRAL_1) or (right == "0" and other in "+-"):
            continue  # it would do nothing, which dropping the operand says better
        yield Text(
            f"{_bound(node.left, left)} {other} {_bound(node.right, right)}", 1.1 + 0.15 * rank
        )


def _bound(node: ast.expr, text: str) -> str:
    """An operand in parentheses where another operator may bind tighter than its own."""
    return f"({text})" if isinstance(node, ast.BinOp) and not text.startswith("(") else text


@kind("operand dropped", ast.BinOp, cost=1.2)
def dropped(node: ast.BinOp, place: Place) -> Iterator[Text]:
    yield Text(place.operand(node.left), 1.2)
    yield Text(place.operand(node.right), 1.5)


@kind("inner operand dropped", ast.BinOp, cost=1.9)
def inner_dropped(node: ast.BinOp, place: Place) -> Iterator[str]:
    """`a ** b * c` as `a ** c`, and `a + b * c` as `a * c`."""
    if isinstance(node.left, ast.BinOp):
        yield f"{place.operand(node.left.left)} {SIGNS[type(node.left.op)]} {place.operand(node.right)}"
    if isinstance(node.right, ast.BinOp):
        yield f"{place.operand(node.left)} {SIGNS[type(node.right.op)]} {place.operand(node.right.right)}"


@kind("operands swapped", ast.BinOp, cost=1.6)
def swapped(node: ast.BinOp, place: Place) -> Iterator[str]:
    if not isinstance(node.op, ast.Mult | ast.BitAnd | ast.BitOr | ast.BitXor):
        left, right = (_bound(part, place.operand(part)) for part in (node.left, node.right))
        yield f"{right} {SIGNS[type(node.op)]} {left}"


@kind("grouping", ast.BinOp, cost=1.7)
def grouped(node: ast.BinOp, place: Place) -> Iterator[str]:
    """`a - b * c` as `(a - b) * c`, and back."""
    sign = SIGNS[type(node.op)]
    if isinstance(node.right, ast.BinOp):
        a, b, c = (place.operand(part) for part in (node.left, node.right.left, node.right.right))
        yield f"({a} {sign} {b}) {SIGNS[type(node.right.op)]} {c}"
    if isinstance(node.left, ast.BinOp):
        a, b, c = (place.operand(part) for part in (node.left.left, node.left.right, node.right))
        yield f"{a} {SIGNS[type(node.left.op)]} ({b} {sign} {c})"


@kind("and or", ast.BoolOp, cost=1.1)
def and_or(node: ast.BoolOp, place: Place) -> Iterator[str]:
    other = "or" if isinstance(node.op, ast.And) else "and"
    yield f" {other} ".join(_closed(value, place) for value in node.values)


@kind("condition dropped", ast.BoolOp, cost=1.4)
def one_less(node: ast.BoolOp, place: Place) -> Iterator[str]:
    sign = SIGNS[type(node.op)]
    for index in range(len(node.values)):
        rest = [value for number, value in enumerate(node.values) if number != index]
        yield f" {sign} ".join(place.operand(value) for value in rest)


@kind("condition negated", ast.BoolOp, cost=1.8)
def one_negated(node: ast.BoolOp, place: Place) -> Iterator[str]:
    sign = SIGNS[type(node.op)]
    for index in range(len(node.values)):
        told = [_closed(value, place) for value in node.values]
        told[index] = f"not {told[index]}"
        yield f" {sign} ".join(told)


def _closed(value: ast.expr, place: Place) -> str:
    text = place.operand(value)
    loose = isinstance(value, ast.BoolOp | ast.IfExp | ast.Lambda | ast.NamedExpr)
    return f"({text})" if loose and not text.startswith("(") else text


@kind("sign dropped", ast.UnaryOp, cost=1.2)
def unsigned(node: ast.UnaryOp, place: Place) -> Iterator[str]:
    yield place.operand(node.operand)


@kind("augmented operator", ast.AugAssign, cost=1.0)
def augmented(node: ast.AugAssign, place: Place) -> Iterator[Text]:
    sign = SIGNS[type(node.op)]
    for rank, other in enumerate(CALCULATED.get(sign, "").split()):
        yield Text(
            f"{place.text(node.target)} {other}= {place.operand(node.value)}", 1.0 + 0.2 * rank
        )
    yield Text(
        f"{place.text(node.target)} = {place.operand(node.value)}", 1.7, "augmented to plain"
    )


@kind("plain to augmented", ast.Assign, cost=1.9)
def plain(node: ast.Assign, place: Place) -> Iterator[Text]:
    if len(node.targets) == 1 and isinstance(
        node.targets[0], ast.Name | ast.Attribute | ast.Subscript
    ):
        for sign, cost in (("+", 1.9), ("-", 2.4), ("*", 2.6), ("|", 2.9)):
            yield Text(f"{place.text(node.targets[0])} {sign}= {place.operand(node.value)}", cost)


@kind("condition of a conditional", ast.IfExp, cost=1.4)
def conditional(node: ast.IfExp, place: Place) -> Iterator[Text]:
    body, test, orelse = (place.operand(part) for part in (node.body, node.test, node.orelse))
    yield Text(f"{orelse} if {test} else {body}", 1.4)
    yield Text(body, 2.0)
    yield Text(orelse, 2.0)


@kind(
    "negation", ast.Compare, ast.Call, ast.Name, ast.Attribute, ast.BoolOp, ast.Subscript, cost=1.4
)
def negated(node: ast.expr, place: Place) -> Iterator[str]:
    parent = place.parents.get(node)
    tested = isinstance(parent, ast.If | ast.While | ast.IfExp | ast.Assert) and parent.test is node
    filtered = isinstance(parent, ast.comprehension) and node in parent.ifs
    returned = isinstance(parent, ast.Return) and isinstance(
        node, ast.Compare | ast.BoolOp | ast.Call
    )
    if tested or filtered or returned:
        text = place.operand(node)
        yield (
            f"not {text}"
            if not isinstance(node, ast.BoolOp) or text.startswith("(")
            else f"not ({text})"
        )
