"""Operators replaced, operands dropped or swapped, conditions negated."""

from __future__ import annotations

import ast

from pytest_starcoder.source.edits.context import Context
from pytest_starcoder.source.edits.kind import (
    Replacement,
    Replacements,
    drop_each,
    kind,
    replace_item,
)
from pytest_starcoder.source.edits.template import fill, sign_of

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

NEUTRAL = ("* 1", "/ 1", "// 1", "** 1", "+ 0", "- 0")
"""Operators and right operands that have no effect."""

LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)
"""Operands that `and`, `or` and `not` would take apart."""


def _join(operands: list[str], signs: list[str]) -> str:
    text = operands[0]
    for sign, operand in zip(signs, operands[1:], strict=True):
        text += f" {sign} {operand}"
    return text


def _read_comparison(node: ast.Compare, context: Context) -> tuple[list[str], list[str]]:
    operands = context.operands([node.left, *node.comparators])
    return operands, [sign_of(operator) for operator in node.ops]


@kind("comparison operator", cost=1.0)
def replace_comparison(node: ast.Compare, context: Context) -> Replacements:
    """Replace `a < b` with `a <= b` or another comparison."""
    operands, signs = _read_comparison(node, context)
    for index, sign in enumerate(signs):
        for rank, replacement in enumerate(COMPARISONS[sign].split(", ")):
            changed = replace_item(signs, index, replacement)
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
    first = context.enclosed(node.left, ast.BinOp)
    second = context.enclosed(node.right, ast.BinOp)
    for rank, sign in enumerate(ARITHMETIC[sign_of(node.op)].split()):
        # An operation without effect is the kind "operand dropped".
        if f"{sign} {second}" not in NEUTRAL:
            yield Replacement(f"{first} {sign} {second}", 1.1 + 0.15 * rank)


@kind("operand dropped", cost=1.2)
def drop_operand(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a + b` with `a` or `b`."""
    yield context.operand(node.left)
    yield Replacement(context.operand(node.right), 1.5)


@kind("inner operand dropped", cost=1.9)
def drop_inner_operand(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a ** b * c` with `a ** c`, and `a + b * c` with `a * c`."""
    if isinstance(node.left, ast.BinOp):
        yield fill("{left.left} {left.op} {right}", node, context)
    if isinstance(node.right, ast.BinOp):
        yield fill("{left} {right.op} {right.right}", node, context)


@kind("operands swapped", cost=1.6)
def swap_operands(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a - b` with `b - a`."""
    # These are commutative; `+` is not, for sequences.
    if sign_of(node.op) not in ("*", "&", "|", "^"):
        yield fill("{right:BinOp} {op} {left:BinOp}", node, context)


@kind("grouping", cost=1.7)
def regroup(node: ast.BinOp, context: Context) -> Replacements:
    """Replace `a - b * c` with `(a - b) * c`, and back."""
    if isinstance(node.right, ast.BinOp):
        yield fill("({left} {op} {right.left}) {right.op} {right.right}", node, context)
    if isinstance(node.left, ast.BinOp):
        yield fill("{left.left} {left.op} ({left.right} {op} {right})", node, context)


@kind("and or", cost=1.1)
def exchange_and_or(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `a or b`, and back."""
    sign = "or" if sign_of(node.op) == "and" else "and"
    yield f" {sign} ".join(context.enclosed(value, *LOOSE) for value in node.values)


@kind("condition dropped", cost=1.4)
def drop_condition(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `a` or `b`."""
    for values in drop_each(context.operands(node.values)):
        yield f" {sign_of(node.op)} ".join(values)


@kind("condition negated", cost=1.8)
def negate_operand(node: ast.BoolOp, context: Context) -> Replacements:
    """Replace `a and b` with `not a and b` or `a and not b`."""
    values = [context.enclosed(value, *LOOSE) for value in node.values]
    for index, value in enumerate(values):
        changed = replace_item(values, index, f"not {value}")
        yield f" {sign_of(node.op)} ".join(changed)


@kind("sign dropped", cost=1.2)
def dropsign_of(node: ast.UnaryOp, context: Context) -> Replacements:
    """Replace `-a` or `not a` with `a`."""
    yield context.operand(node.operand)


@kind("augmented operator", cost=1.0)
def replace_augmented(node: ast.AugAssign, context: Context) -> Replacements:
    """Replace `a += b` with `a -= b`, another operation or `a = b`."""
    target, value = context.text(node.target), context.operand(node.value)
    for rank, sign in enumerate(ARITHMETIC[sign_of(node.op)].split()):
        yield Replacement(f"{target} {sign}= {value}", 1.0 + 0.2 * rank)
    yield Replacement(f"{target} = {value}", 1.7, "augmented to plain")


@kind("plain to augmented", cost=1.9)
def augment(node: ast.Assign, context: Context) -> Replacements:
    """Replace `a = b` with `a += b` or another operation."""
    [target, *more] = node.targets
    # `a = b = c` and `a, b = c` have no augmented form.
    if more or not isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        return
    name, value = context.text(target), context.operand(node.value)
    for sign, cost in {"+": 1.9, "-": 2.4, "*": 2.6, "|": 2.9}.items():
        yield Replacement(f"{name} {sign}= {value}", cost)


@kind("condition of a conditional", cost=1.4)
def swap_conditional(node: ast.IfExp, context: Context) -> Replacements:
    """Replace `a if b else c` with `c if b else a`, `a` or `c`."""
    yield fill("{orelse} if {test} else {body}", node, context)
    yield Replacement(context.operand(node.body), 2.0)
    yield Replacement(context.operand(node.orelse), 2.0)


Negatable = ast.Compare | ast.Call | ast.Name | ast.Attribute | ast.BoolOp | ast.Subscript


@kind("negation", cost=1.4)
def negate(node: Negatable, context: Context) -> Replacements:
    """Replace a condition or a returned value `a` with `not a`."""
    is_negatable = context.is_condition(node)
    if isinstance(context.parent(node), ast.Return):
        # A name or an attribute that is returned is seldom a truth value.
        is_negatable = isinstance(node, ast.Compare | ast.BoolOp | ast.Call)
    if is_negatable:
        yield f"not {context.enclosed(node, ast.BoolOp)}"
