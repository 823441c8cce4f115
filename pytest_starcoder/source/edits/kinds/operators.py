"""Operators replaced, operands dropped or swapped, conditions negated."""

from __future__ import annotations

import ast

from pytest_starcoder.source.edits.context import Context
from pytest_starcoder.source.edits.kind import Replacement, Replacements, drop_each, kind

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

COMPARISONS = {
    "<": "<=, >, >=, !=, ==",
    "<=": "<, >=, >, ==, !=",
    ">": ">=, <, <=, !=, ==",
    ">=": ">, <=, <, ==, !=",
    "==": "!=, <=, >=, <, >, in, is",
    "!=": "==, <, >, <=, >=",
    "in": "not in",
    "not in": "in",
    "is": "is not, ==",
    "is not": "is, !=",
}
"""Replacements of each comparison, likeliest first."""

ARITHMETIC = {
    "+": "- * // % /",
    "-": "+ * // % /",
    "*": "+ / ** // - %",
    "/": "// * % -",
    "//": "/ % * -",
    "%": "// / *",
    "**": "* + //",
    "<<": ">>",
    ">>": "<<",
    "&": "| ^",
    "|": "& ^",
    "^": "& |",
    "@": "",
}
"""Replacements of each arithmetic operator, likeliest first."""

LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)
"""Operands that `and`, `or` and `not` would take apart."""


def _sign(operator: ast.AST) -> str:
    return SIGNS[type(operator).__name__]


def _join(operands: list[str], signs: list[str]) -> str:
    text = operands[0]
    for sign, operand in zip(signs, operands[1:], strict=True):
        text += f" {sign} {operand}"
    return text


def _read_comparison(node: ast.Compare, context: Context) -> tuple[list[str], list[str]]:
    operands = context.operands([node.left, *node.comparators])
    return operands, [_sign(operator) for operator in node.ops]


@kind("comparison operator", cost=1.0)
def replace_comparison(node: ast.Compare, context: Context) -> Replacements:
    """Replace `a < b` with `a <= b` or another comparison."""
    operands, signs = _read_comparison(node, context)
    for index, sign in enumerate(signs):
        for rank, replacement in enumerate(COMPARISONS[sign].split(", ")):
            changed = [*signs[:index], replacement, *signs[index + 1 :]]
            yield Replacement(_join(operands, changed), 1.0 + 0.12 * rank)


@kind("comparison turned", cost=1.8)
def turn_membership(node: ast.Compare, context: Context) -> Replacements:
    """Replace `a in b` with `b in a`."""
    operands, signs = _read_comparison(node, context)
    if signs in (["in"], ["not in"]):
        yield _join(operands[::-1], signs)


@kind("comparison shortened", cost=1.9)
def shorten_comparison(node: ast.Compare, context: Context) -> Replacements:
    """Replace `a < b < c` with `b < c` or `a < b`."""
    operands, signs = _read_comparison(node, context)
    if len(signs) > 1:
        yield _join(operands[1:], signs[1:])
        yield _join(operands[:-1], signs[:-1])


@kind("arithmetic operator", cost=1.1)
def replace_arithmetic(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a - b` with `a + b` or another operation."""
    left = context.enclosed(node.left, ast.BinOp)
    right = context.enclosed(node.right, ast.BinOp)
    for rank, sign in enumerate(ARITHMETIC[_sign(node.op)].split()):
        # An operation without effect is the kind "operand dropped".
        if (sign, right) in NEUTRAL:
            continue
        yield Replacement(f"{left} {sign} {right}", 1.1 + 0.15 * rank)


NEUTRAL = {("*", "1"), ("/", "1"), ("//", "1"), ("**", "1"), ("+", "0"), ("-", "0")}
"""Operators and right operands that have no effect."""


@kind("operand dropped", cost=1.2)
def drop_operand(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a + b` with `a` or `b`."""
    yield context.operand(node.left)
    yield Replacement(context.operand(node.right), 1.5)


@kind("inner operand dropped", cost=1.9)
def drop_inner_operand(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a ** b * c` with `a ** c`, and `a + b * c` with `a * c`."""
    if isinstance(node.left, ast.BinOp):
        inner = node.left
        yield f"{context.operand(inner.left)} {_sign(inner.op)} {context.operand(node.right)}"
    if isinstance(node.right, ast.BinOp):
        inner = node.right
        yield f"{context.operand(node.left)} {_sign(inner.op)} {context.operand(inner.right)}"


@kind("operands swapped", cost=1.6)
def swap_operands(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a - b` with `b - a`."""
    if not isinstance(node.op, ast.Mult | ast.BitAnd | ast.BitOr | ast.BitXor):
        left = context.enclosed(node.left, ast.BinOp)
        right = context.enclosed(node.right, ast.BinOp)
        yield f"{right} {_sign(node.op)} {left}"


@kind("grouping", cost=1.7)
def regroup(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a - b * c` with `(a - b) * c`, and back."""
    sign = _sign(node.op)
    if isinstance(node.right, ast.BinOp):
        a, b, c = context.operands([node.left, node.right.left, node.right.right])
        yield f"({a} {sign} {b}) {_sign(node.right.op)} {c}"
    if isinstance(node.left, ast.BinOp):
        a, b, c = context.operands([node.left.left, node.left.right, node.right])
        yield f"{a} {_sign(node.left.op)} ({b} {sign} {c})"


@kind("and or", cost=1.1)
def exchange_and_or(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `a or b`, and back."""
    sign = "or" if isinstance(node.op, ast.And) else "and"
    yield f" {sign} ".join(context.enclosed(value, *LOOSE) for value in node.values)


@kind("condition dropped", cost=1.4)
def drop_condition(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `a` or `b`."""
    for values in drop_each(context.operands(node.values)):
        yield f" {_sign(node.op)} ".join(values)


@kind("condition negated", cost=1.8)
def negate_operand(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `not a and b` or `a and not b`."""
    values = [context.enclosed(value, *LOOSE) for value in node.values]
    for index, value in enumerate(values):
        changed = [*values[:index], f"not {value}", *values[index + 1 :]]
        yield f" {_sign(node.op)} ".join(changed)


@kind("sign dropped", cost=1.2)
def drop_sign(node: ast.UnaryOp, context: Context) -> Replacements:
    """Replace `-a` or `not a` with `a`."""
    yield context.operand(node.operand)


@kind("augmented operator", cost=1.0)
def replace_augmented(node: ast.AugAssign, context: Context) -> Replacements:
    """Replace `a += b` with `a -= b`, another operation or `a = b`."""
    target, value = context.text(node.target), context.operand(node.value)
    for rank, sign in enumerate(ARITHMETIC[_sign(node.op)].split()):
        yield Replacement(f"{target} {sign}= {value}", 1.0 + 0.2 * rank)
    yield Replacement(f"{target} = {value}", 1.7, "augmented to plain")


@kind("plain to augmented", cost=1.9)
def augment(node: ast.Assign, context: Context) -> Replacements:
    """Replace `a = b` with `a += b` or another operation."""
    [target, *more] = node.targets
    if not more and isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        for sign, cost in {"+": 1.9, "-": 2.4, "*": 2.6, "|": 2.9}.items():
            yield Replacement(f"{context.text(target)} {sign}= {context.operand(node.value)}", cost)


@kind("condition of a conditional", cost=1.4)
def swap_conditional(node: ast.IfExp, context: Context) -> Replacements:
    """Replace `a if b else c` with `c if b else a`, `a` or `c`."""
    body, test, orelse = context.operands([node.body, node.test, node.orelse])
    yield f"{orelse} if {test} else {body}"
    yield Replacement(body, 2.0)
    yield Replacement(orelse, 2.0)


Negatable = ast.Compare | ast.Call | ast.Name | ast.Attribute | ast.BoolOp | ast.Subscript


@kind("negation", cost=1.4)
def negate(node: Negatable, context: Context) -> Replacements:
    """Replace a condition or a returned value `a` with `not a`."""
    is_returned = isinstance(context.parent(node), ast.Return)
    if context.is_condition(node) or (
        is_returned and isinstance(node, ast.Compare | ast.BoolOp | ast.Call)
    ):
        yield f"not {context.enclosed(node, ast.BoolOp)}"
