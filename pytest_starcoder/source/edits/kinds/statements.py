"""Statements dropped, exchanged, moved in and out of blocks, and added."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, is_text, kind

SIMPLE = (
    ast.Assign,
    ast.AugAssign,
    ast.Expr,
    ast.Return,
    ast.Raise,
    ast.Continue,
    ast.Break,
    ast.Delete,
    ast.Assert,
)


def _siblings(node: ast.stmt, place: Place) -> list[ast.stmt]:
    """The block that a statement is in."""
    parent = place.parents.get(node)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block:
            return block
    return [node]


@kind("statement deleted", *SIMPLE, ast.If, ast.For, ast.While, cost=1.9)
def deleted(node: ast.stmt, place: Place) -> Iterator[Text]:
    if not is_text(node):
        yield Text("pass", 1.9 if isinstance(node, SIMPLE) else 2.4)


@kind("break for continue", ast.Break, ast.Continue, cost=1.2)
def broken(node: ast.Break | ast.Continue, place: Place) -> Iterator[str]:
    yield "continue" if isinstance(node, ast.Break) else "break"


@kind("return added", ast.Expr, cost=1.8)
def returned(node: ast.Expr, place: Place) -> Iterator[str]:
    if not is_text(node) and place.function(node) is not None:
        yield f"return {place.text(node.value)}"


@kind("other value returned", ast.Return, cost=2.0)
def other_value(node: ast.Return, place: Place) -> Iterator[Text]:
    if node.value is None:
        for name in place.scope(node).names:
            yield Text(f"return {name}", 1.9)
        return
    own = place.text(node.value)
    for name in (
        *place.scope(node).names,
        *(f"self.{name}" for name in place.scope(node).attributes),
    ):
        if name != own:
            yield Text(f"return {name}", 2.2)
    for other in ("None", "True", "False", "[]", "0", '""'):
        yield Text(f"return {other}", 2.6)
    for other in place.scope(node).expressions:
        if other != own and "\n" not in other:
            yield Text(f"return {other}", 3.1)


@kind("return dropped", ast.Return, cost=2.2)
def unreturned(node: ast.Return, place: Place) -> Iterator[str]:
    if node.value is not None and isinstance(node.value, ast.Call | ast.Await):
        yield place.text(node.value)


@kind("yield for return", ast.Return, cost=2.6)
def yielded(node: ast.Return, place: Place) -> Iterator[str]:
    if node.value is not None:
        yield f"yield {place.text(node.value)}"
        yield f"yield from {place.text(node.value)}"


@kind("yield", ast.Yield, ast.YieldFrom, cost=1.7)
def unyielded(node: ast.Yield | ast.YieldFrom, place: Place) -> Iterator[str]:
    if node.value is not None:
        other = "yield" if isinstance(node, ast.YieldFrom) else "yield from"
        yield f"{other} {place.text(node.value)}"


@kind("result kept", ast.Assign, cost=2.0)
def unkept(node: ast.Assign, place: Place) -> Iterator[str]:
    """`xs = xs.sort()` as `xs.sort()`."""
    if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        yield place.text(node.value)


@kind("condition always true", ast.If, cost=2.2)
def always(node: ast.If, place: Place) -> Iterator[str]:
    start, _ = place.span(node)
    first, last = place.span(node.test)
    whole = place.text(node)
    for other in ("True", "False"):
        yield whole[: first - start] + other + whole[last - start :]


@kind("while for if", ast.If, ast.While, cost=2.0)
def looped(node: ast.If | ast.While, place: Place) -> Iterator[str]:
    whole = place.text(node)
    if isinstance(node, ast.If) and whole.startswith("if") and not node.orelse:
        yield "while" + whole[2:]
    if isinstance(node, ast.While):
        yield "if" + whole[5:]


NEAR = {
    "KeyError": ("IndexError", "LookupError"),
    "IndexError": ("KeyError", "LookupError"),
    "ValueError": ("TypeError", "(ValueError, TypeError)"),
    "TypeError": ("ValueError", "(TypeError, ValueError)"),
    "AttributeError": ("KeyError", "TypeError"),
    "OSError": ("FileNotFoundError",),
    "FileNotFoundError": ("OSError",),
}


@kind("except", ast.Try, cost=2.0)
def excepted(node: ast.Try, place: Place) -> Iterator[str]:
    whole, (start, _) = place.text(node), place.span(node)
    for caught in node.handlers:
        if caught.type is not None:
            first, last = place.span(caught.type)
            for other in (*NEAR.get(place.text(caught.type), ()), "Exception"):
                yield whole[: first - start] + other + whole[last - start :]


EXCEPTIONS = (
    "ValueError TypeError KeyError IndexError AttributeError RuntimeError NotImplementedError ZeroDivisionError"
    " StopIteration"
).split()


@kind("other exception", ast.Raise, cost=2.2)
def raised(node: ast.Raise, place: Place) -> Iterator[str]:
    called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(called, ast.Name):
        rest = place.text(node)[len("raise ") + len(called.id) :]
        for other in EXCEPTIONS:
            if other != called.id:
                yield f"raise {other}{rest}"


@kind("moved out of the block", ast.For, ast.While, ast.If, ast.With, cost=3.0)
def out(node: ast.For | ast.While | ast.If | ast.With, place: Place) -> Iterator[str]:
    """The last statement of the block, or the last two, behind it."""
    if getattr(node, "orelse", None):
        return
    whole, (start, _) = place.text(node), place.span(node)
    indent = place.indent(node)
    for count in (1, 2):
        if len(node.body) > count:
            first = node.body[-count]
            at = place.span(first)[0] - start
            inner = place.indent(first)
            moved = whole[at:].replace(f"\n{inner}", f"\n{indent}")
            yield f"{whole[:at].rstrip()}\n{indent}{moved}"


@kind("copied into the block", ast.For, ast.While, ast.If, ast.With, cost=3.0)
def into(node: ast.For | ast.While | ast.If | ast.With, place: Place) -> Iterator[Text]:
    """The statement behind a block at its end, with the block's own text unchanged: as an addition to it."""
    block = _siblings(node, place)
    index = block.index(node)
    if index + 1 >= len(block) or getattr(node, "orelse", None):
        return
    behind = block[index + 1]
    if not isinstance(behind, SIMPLE):
        return
    inner = place.indent(node.body[-1])
    yield Text(f"{place.text(node)}\n{inner}{place.text(behind)}", 3.3)


@kind("statement added", *SIMPLE, cost=3.6)
def added(node: ast.stmt, place: Place) -> Iterator[Text]:
    """A simple statement of the function behind this one, or a step of one of its numbers."""
    around = place.function(node)
    if (
        around is None
        or is_text(node)
        or isinstance(node, ast.Return | ast.Break | ast.Continue | ast.Raise)
    ):
        return
    indent, own = place.indent(node), place.text(node)
    scope = place.scope(node)
    for other in scope.statements:
        if "\n" not in other and other != own and len(other) <= 80:
            yield Text(f"{own}\n{indent}{other}", 3.6)
    for name in scope.names:
        types = place.types(node).get(name)
        if types is None or "int" in types:
            yield Text(f"{own}\n{indent}{name} += 1", 3.7)
            yield Text(f"{own}\n{indent}{name} -= 1", 3.9)
        yield Text(f"{own}\n{indent}return {name}", 3.8)


@kind("append added", *SIMPLE, cost=3.9)
def appended(node: ast.stmt, place: Place) -> Iterator[str]:
    if (
        place.function(node) is None
        or is_text(node)
        or isinstance(node, ast.Return | ast.Break | ast.Continue | ast.Raise)
    ):
        return
    names = place.scope(node).names
    lists = [name for name in names if "list" in place.types(node).get(name, ("list",))]
    for name in lists[:4]:
        for other in names:
            if other != name:
                yield f"{place.text(node)}\n{place.indent(node)}{name}.append({other})"


@kind("wrapped in a comparison", ast.Assign, ast.AugAssign, ast.Expr, cost=4.4)
def compared(node: ast.stmt, place: Place) -> Iterator[str]:
    """`if one == other:` around a statement, of the names that it or the loops around it use."""
    if place.function(node) is None or is_text(node):
        return
    inner = place.indent(node) + "    "
    names = place.scope(node).names[:8]
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            for sign in ("==", "!=", "<", ">"):
                yield f"if {one} {sign} {other}:\n{inner}{place.text(node)}"


@kind("wrapped in a condition", ast.Assign, ast.AugAssign, ast.Expr, ast.Return, cost=4.2)
def conditioned(node: ast.stmt, place: Place) -> Iterator[str]:
    if place.function(node) is None or is_text(node):
        return
    inner = place.indent(node) + "    "
    for condition in place.scope(node).conditions:
        if "\n" not in condition:
            yield f"if {condition}:\n{inner}{place.text(node)}"
    for name in place.scope(node).names[:8]:
        yield f"if {name}:\n{inner}{place.text(node)}"


@kind(
    "guard", ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.If, ast.For, ast.While, cost=5.0
)
def guarded(node: ast.stmt, place: Place) -> Iterator[Text]:
    """`if not x: return …` before the first statement of a function."""
    around = place.function(node)
    if around is None or is_text(node):
        return
    body = [statement for statement in around.body if not is_text(statement)]
    if not body or body[0] is not node:
        return
    indent = place.indent(node)
    for argument in [
        argument.arg for argument in around.args.args if argument.arg not in ("self", "cls")
    ][:3]:
        tests = {
            f"not {argument}": 5.0,
            f"{argument} is None": 5.2,
            f"{argument} < 2": 5.4,
            f"len({argument}) < 2": 5.4,
        }
        for test, cost in tests.items():
            for value in ("None", "0", "[]", '""', "False", "True", argument, "1"):
                yield Text(
                    f"if {test}:\n{indent}    return {value}\n{indent}{place.text(node)}", cost
                )
