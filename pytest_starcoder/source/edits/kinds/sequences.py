"""Indices, slices, ranges and elements: off by one, too short, in the wrong order."""

from __future__ import annotations

import ast
from itertools import islice

from pytest_starcoder.source.edits.context import Context, called_name, is_read
from pytest_starcoder.source.edits.kind import (
    Replacement,
    Replacements,
    drop_each,
    kind,
    swap_neighbours,
)
from pytest_starcoder.source.edits.template import fill

Numeric = ast.Name | ast.Call | ast.BinOp | ast.Subscript | ast.Attribute
"""Expressions that may be numbers."""

NUMERIC_FUNCTIONS = ("len", "int", "max", "min", "sum", "abs", "round")

SEQUENCE_TYPES = ("list", "str", "tuple", "bytes")

MAX_SWAPS = 6
"""Elements of a collection that are swapped with the next one."""

MAX_DROPPED = 8
"""Elements of the longest collection from which one is dropped."""

BRACKETS = {ast.List: ("[", "]"), ast.Set: ("{", "}"), ast.Tuple: ("(", ")")}

RANGES = {
    1: {
        "1, {0}": 1.9,
        "1, {0} + 1": 2.0,
        "2, {0}": 2.3,
        "{0} - 1, -1, -1": 2.4,
        "0, {0}, 2": 2.6,
        "2, {0} + 1": 2.6,
    },
    2: {
        "{1}": 1.9,
        "0, {1}": 2.0,
        "{1}, {0}, -1": 2.3,
        "{0}, {1}, 2": 2.4,
        "{0} + 1, {1} + 1": 2.4,
    },
    3: {"{0}, {1}": 2.0},
}
"""New arguments for a `range` with one, two or three arguments, with their costs."""

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


@kind("one added", cost=1.8)
def add_one(node: Numeric, context: Context) -> Replacements:
    """Replace `n` with `n + 1` or `n - 1`."""
    if not is_read(node):
        return
    if isinstance(node, ast.Name) and not context.may_be(node, node.id, ("int", "float")):
        return
    cost = _step_cost(node, context.parent(node))
    if cost is None:
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) not in NUMERIC_FUNCTIONS:
        cost += 0.5
    text = context.operand(node)
    yield Replacement(f"{text} + 1", cost)
    yield Replacement(f"{text} - 1", cost)


def _step_cost(node: Numeric, parent: ast.AST | None) -> float | None:
    """Return the cost of adding one where a number stands; None where it is seldom a fix."""
    match parent:
        case ast.Slice() | ast.Compare():
            return 1.8
        case ast.Subscript(slice=part):
            return 1.8 if part is node else None
        case ast.Call(func=function):
            return 1.8 if function is not node else None
        case ast.Return() | ast.Assign():
            return 2.1
        # Not in a sum: one more there is an edit of the whole sum.
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.FloorDiv() | ast.Mod() | ast.Pow()):
            return 2.1
    return None


def _bounds(node: ast.Slice, context: Context) -> tuple[str, str, str]:
    """Return lower bound, upper bound and step of a slice, empty where there is none."""
    lower = context.operand(node.lower) if node.lower else ""
    upper = context.operand(node.upper) if node.upper else ""
    step = f":{context.operand(node.step)}" if node.step else ""
    return lower, upper, step


@kind("slice bound dropped", cost=1.8)
def drop_bound(node: ast.Subscript, context: Context) -> Replacements:
    """Replace `a[1:2]` with `a[1:]` or `a[:2]`, or swap the bounds."""
    if not isinstance(node.slice, ast.Slice):
        return
    value = context.operand(node.value)
    lower, upper, step = _bounds(node.slice, context)
    if lower:
        yield f"{value}[:{upper}{step}]"
    if upper:
        yield f"{value}[{lower}:{step}]"
    if step:
        yield f"{value}[{lower}:{upper}]"
    if lower or upper:
        yield f"{value}[{upper}:{lower}]"
    yield value


@kind("slice bound added", cost=2.2)
def add_bound(node: ast.Subscript, context: Context) -> Replacements:
    """Replace `a[:2]` with `a[1:2]`, a step of two or a reversed slice."""
    if not isinstance(node.slice, ast.Slice):
        return
    value = context.operand(node.value)
    lower, upper, step = _bounds(node.slice, context)
    if not lower:
        yield f"{value}[1:{upper}{step}]"
    if not upper:
        yield f"{value}[{lower}:-1{step}]"
    if not step:
        yield f"{value}[{lower}:{upper}:-1]"
        yield f"{value}[{lower}:{upper}:2]"
    yield f"{value}[{lower}:{upper}{step}][::-1]"


@kind("slice added", cost=2.7)
def add_slice(
    node: ast.Name | ast.Call | ast.Attribute | ast.Subscript, context: Context
) -> Replacements:
    """Replace `a` with `a[1:]`, `a[:n]` or another slice."""
    if isinstance(node, ast.Name) and not context.may_be(node, node.id, SEQUENCE_TYPES):
        return
    if not context.is_value(node) and not isinstance(context.parent(node), ast.For):
        return
    text = context.operand(node)
    for bounds in ("::-1", "1:", ":-1"):
        yield f"{text}[{bounds}]"
    for name in context.scope(node).names:
        if name != text and context.may_be(node, name, ["int"]):
            for bounds in (f"{name}:", f":{name}", f"{name} + 1:", f":{name} + 1"):
                yield Replacement(f"{text}[{bounds}]", 3.2)


@kind("index added", cost=2.8)
def add_index(node: ast.Name, context: Context) -> Replacements:
    """Replace `a` with `a[0]`, `a[-1]` or `a[1]`."""
    may_have_items = context.may_be(node, node.id, ("list", "str", "tuple", "dict"))
    if may_have_items and context.is_value(node):
        yield f"{node.id}[0]"
        yield f"{node.id}[-1]"
        yield f"{node.id}[1]"


@kind("index dropped", cost=2.2)
def drop_index(node: ast.Subscript, context: Context) -> Replacements:
    """Replace `a[0]` with `a`."""
    if is_read(node) and not isinstance(node.slice, ast.Slice):
        yield context.operand(node.value)


@kind("index to a whole", cost=2.8)
def aggregate(node: ast.Subscript, context: Context) -> Replacements:
    """Replace `xs[0]` with `sum(xs)`, `max(xs)`, `min(xs)` or `len(xs)`."""
    if is_read(node) and not isinstance(node.slice, ast.Slice):
        text = context.operand(node.value)
        for name in ("sum", "max", "min", "len"):
            yield f"{name}({text})"


@kind("index from the end", cost=2.0)
def mirror_index(node: ast.Subscript, context: Context) -> Replacements:
    """Replace `a[i]` with `a[-i]` or `a[-i - 1]`."""
    if is_read(node) and isinstance(node.slice, ast.Name):
        yield fill("{value}[-{slice.id}]", node, context)
        yield fill("{value}[-{slice.id} - 1]", node, context)


@kind("elements swapped", cost=1.6)
def swap_elements(node: ast.Tuple | ast.List, context: Context) -> Replacements:
    """Replace `[a, b]` with `[b, a]`."""
    opening, closing = BRACKETS[type(node)]
    if not context.text(node).startswith(opening):
        opening = closing = ""  # a tuple without parentheses
    for swapped in islice(swap_neighbours(context.operands(node.elts)), MAX_SWAPS):
        yield f"{opening}{', '.join(swapped)}{closing}"


@kind("element dropped", cost=2.4)
def drop_element(node: ast.Tuple | ast.List | ast.Set, context: Context) -> Replacements:
    """Replace `[a, b]` with `[a]` or `[b]`."""
    if not is_read(node) or not 1 < len(node.elts) <= MAX_DROPPED:
        return
    opening, closing = BRACKETS[type(node)]
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        closing = ",)"
    for elements in drop_each(context.operands(node.elts)):
        yield f"{opening}{', '.join(elements)}{closing}"


@kind("range bound", cost=2.0)
def change_range(node: ast.Call, context: Context) -> Replacements:
    """Replace `range(n)` with `range(1, n)` or another range."""
    if called_name(node) != "range":
        return
    arguments = context.operands(node.args)
    for template, cost in RANGES.get(len(arguments), {}).items():
        yield Replacement(f"range({template.format(*arguments)})", cost)


@kind("filter dropped", cost=1.8)
def drop_filter(node: Comprehension, context: Context) -> Replacements:
    """Replace `[a for a in b if a]` with `[a for a in b]`."""
    start, end = context.span(node)
    for generator in node.generators:
        for test in generator.ifs:
            test_start, test_end = context.span(test)
            before = context.source[start:test_start].rstrip()
            if before.endswith("if"):
                yield before.removesuffix("if").rstrip() + context.source[test_end:end]


@kind("enumerate start", cost=2.2)
def enumerate_from_one(node: ast.Call, context: Context) -> Replacements:
    """Replace `enumerate(a)` with `enumerate(a, 1)`."""
    has_one_argument = len(node.args) == 1 and not node.keywords
    if called_name(node) == "enumerate" and has_one_argument:
        yield fill("enumerate({args[0]}, 1)", node, context)
