"""Statements deleted, replaced, moved in and out of blocks, added and guarded."""

from __future__ import annotations

import ast
from itertools import combinations

from pytest_starcoder.source.edits.context import Context, is_docstring
from pytest_starcoder.source.edits.kind import Replacement, Replacements, kind
from pytest_starcoder.source.functions import Function

Simple = (
    ast.Assign
    | ast.AugAssign
    | ast.Expr
    | ast.Return
    | ast.Raise
    | ast.Continue
    | ast.Break
    | ast.Delete
    | ast.Assert
)

Wrappable = ast.Assign | ast.AugAssign | ast.Expr

Block = ast.For | ast.While | ast.If | ast.With

SIMILAR_EXCEPTIONS = {
    "KeyError": ("IndexError", "LookupError"),
    "IndexError": ("KeyError", "LookupError"),
    "ValueError": ("TypeError", "(ValueError, TypeError)"),
    "TypeError": ("ValueError", "(TypeError, ValueError)"),
    "AttributeError": ("KeyError", "TypeError"),
    "OSError": ("FileNotFoundError",),
    "FileNotFoundError": ("OSError",),
}

RAISED_EXCEPTIONS = (
    "ValueError",
    "TypeError",
    "KeyError",
    "IndexError",
    "AttributeError",
    "RuntimeError",
    "NotImplementedError",
    "ZeroDivisionError",
    "StopIteration",
)

GUARDS = {"not {}": 5.0, "{} is None": 5.2, "{} < 2": 5.4, "len({}) < 2": 5.4}
"""Tests of a parameter at the start of a function, with their costs."""

MAX_ADDED_STATEMENT = 80
"""Characters of the longest statement that is copied behind another one."""

MAX_LISTS = 4
"""Lists that something is appended to."""

MAX_GUARD_NAMES = 8
"""Names that a statement is made to depend on."""

MAX_GUARDED_PARAMETERS = 3
"""Parameters that are tested at the start of a function."""


def _is_in_function(node: ast.stmt, context: Context) -> bool:
    return context.function(node) is not None and not is_docstring(node)


def _can_be_followed(node: ast.stmt, context: Context) -> bool:
    ends_block = isinstance(node, ast.Return | ast.Break | ast.Continue | ast.Raise)
    return not ends_block and _is_in_function(node, context)


# --- single statements ---


@kind("statement deleted", cost=1.9)
def delete_statement(node: Simple | ast.If | ast.For | ast.While, context: Context) -> Replacements:
    """Replace a statement with `pass`."""
    if not is_docstring(node):
        # A whole block is seldom wrong.
        yield Replacement("pass", 1.9 if isinstance(node, Simple) else 2.4)


@kind("break for continue", cost=1.2)
def exchange_break(node: ast.Break | ast.Continue, context: Context) -> Replacements:
    """Replace `break` with `continue`, and back."""
    yield "continue" if isinstance(node, ast.Break) else "break"


@kind("return added", cost=1.8)
def add_return(node: ast.Expr, context: Context) -> Replacements:
    """Replace the statement `f(a)` with `return f(a)`."""
    if _is_in_function(node, context):
        yield f"return {context.text(node.value)}"


@kind("other value returned", cost=2.0)
def return_other_value(node: ast.Return, context: Context) -> Replacements:
    """Return another name, attribute, constant or expression."""
    scope = context.scope(node)
    if node.value is None:
        for name in scope.names:
            yield Replacement(f"return {name}", 1.9)
        return
    text = context.text(node.value)
    attributes = [f"self.{attribute}" for attribute in scope.attributes]
    for name in (*scope.names, *attributes):
        if name != text:
            yield Replacement(f"return {name}", 2.2)
    for constant in ("None", "True", "False", "[]", "0", '""'):
        yield Replacement(f"return {constant}", 2.6)
    for expression in scope.expressions:
        if expression != text and "\n" not in expression:
            yield Replacement(f"return {expression}", 3.1)


@kind("return dropped", cost=2.2)
def drop_return(node: ast.Return, context: Context) -> Replacements:
    """Replace `return f(a)` with `f(a)`."""
    if isinstance(node.value, ast.Call | ast.Await):
        yield context.text(node.value)


@kind("yield for return", cost=2.6)
def yield_value(node: ast.Return, context: Context) -> Replacements:
    """Replace `return a` with `yield a` or `yield from a`."""
    if node.value is not None:
        yield f"yield {context.text(node.value)}"
        yield f"yield from {context.text(node.value)}"


@kind("yield", cost=1.7)
def exchange_yield(node: ast.Yield | ast.YieldFrom, context: Context) -> Replacements:
    """Replace `yield a` with `yield from a`, and back."""
    if node.value is not None:
        keyword = "yield" if isinstance(node, ast.YieldFrom) else "yield from"
        yield f"{keyword} {context.text(node.value)}"


@kind("result kept", cost=2.0)
def drop_assignment(node: ast.Assign, context: Context) -> Replacements:
    """Replace `xs = xs.sort()` with `xs.sort()`."""
    if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        yield context.text(node.value)


# --- conditions, loops and exceptions ---


@kind("condition always true", cost=2.2)
def force_condition(node: ast.If, context: Context) -> Replacements:
    """Replace the condition of an `if` with `True` or `False`."""
    yield context.replaced(node, node.test, "True")
    yield context.replaced(node, node.test, "False")


@kind("while for if", cost=2.0)
def exchange_if_and_while(node: ast.If | ast.While, context: Context) -> Replacements:
    """Replace `if a:` with `while a:`, and back."""
    text = context.text(node)
    if isinstance(node, ast.While):
        yield "if" + text.removeprefix("while")
    elif text.startswith("if") and not node.orelse:  # `elif` is an If, too
        yield "while" + text.removeprefix("if")


@kind("except", cost=2.0)
def replace_caught(node: ast.Try, context: Context) -> Replacements:
    """Replace `except KeyError:` with a similar exception."""
    for handler in node.handlers:
        if handler.type is not None:
            similar = SIMILAR_EXCEPTIONS.get(context.text(handler.type), ())
            for name in (*similar, "Exception"):
                yield context.replaced(node, handler.type, name)


@kind("other exception", cost=2.2)
def replace_raised(node: ast.Raise, context: Context) -> Replacements:
    """Replace `raise KeyError` with another exception."""
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(raised, ast.Name):
        for name in RAISED_EXCEPTIONS:
            if name != raised.id:
                yield context.replaced(node, raised, name)


# --- blocks ---


@kind("moved out of the block", cost=3.0)
def move_out(node: ast.For | ast.While | ast.If | ast.With, context: Context) -> Replacements:
    """Move the last statement of a block, or the last two, behind it."""
    if getattr(node, "orelse", None):
        return
    text, (start, _) = context.text(node), context.span(node)
    indent = context.indent(node)
    for count in (1, 2):
        if len(node.body) > count:
            first = node.body[-count]
            position = context.span(first)[0] - start
            moved = text[position:].replace(f"\n{context.indent(first)}", f"\n{indent}")
            yield f"{text[:position].rstrip()}\n{indent}{moved}"


@kind("copied into the block", cost=3.3)
def copy_in(node: ast.For | ast.While | ast.If | ast.With, context: Context) -> Replacements:
    """Copy the statement behind a block to its end."""
    siblings = _siblings(node, context)
    index = siblings.index(node) + 1
    if index < len(siblings) and not getattr(node, "orelse", None):
        following = siblings[index]
        if isinstance(following, Simple):
            indent = context.indent(node.body[-1])
            yield f"{context.text(node)}\n{indent}{context.text(following)}"


def _siblings(node: ast.stmt, context: Context) -> list[ast.stmt]:
    """Return the block that a statement is in."""
    parent = context.parent(node)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block:
            return block
    return [node]


# --- additions ---


@kind("statement added", cost=3.6)
def add_statement(node: Simple, context: Context) -> Replacements:
    """Add a copy of a simple statement of the function, or a step of one of its numbers."""
    if not _can_be_followed(node, context):
        return
    text, scope = context.text(node), context.scope(node)
    prefix = f"{text}\n{context.indent(node)}"
    for statement in scope.statements:
        is_short = "\n" not in statement and len(statement) <= MAX_ADDED_STATEMENT
        if is_short and statement != text:
            yield Replacement(f"{prefix}{statement}", 3.6)
    for name in scope.names:
        if context.may_be(node, name, ["int"]):
            yield Replacement(f"{prefix}{name} += 1", 3.7)
            yield Replacement(f"{prefix}{name} -= 1", 3.9)
        yield Replacement(f"{prefix}return {name}", 3.8)


@kind("append added", cost=3.9)
def add_append(node: Simple, context: Context) -> Replacements:
    """Add `xs.append(x)` behind a statement, for each list and name."""
    if not _can_be_followed(node, context):
        return
    names = context.scope(node).names
    lists = [name for name in names if context.may_be(node, name, ["list"])]
    for target in lists[:MAX_LISTS]:
        for name in names:
            if name != target:
                yield f"{context.text(node)}\n{context.indent(node)}{target}.append({name})"


@kind("wrapped in a comparison", cost=4.4)
def add_comparison(node: Wrappable, context: Context) -> Replacements:
    """Put a statement below `if a == b:`, for each two names of the function."""
    if not _is_in_function(node, context):
        return
    body = f"\n{context.indent(node)}    {context.text(node)}"
    names = context.scope(node).names[:MAX_GUARD_NAMES]
    for first, second in combinations(names, 2):
        for sign in ("==", "!=", "<", ">"):
            yield f"if {first} {sign} {second}:{body}"


@kind("wrapped in a condition", cost=4.2)
def add_condition(node: Wrappable | ast.Return, context: Context) -> Replacements:
    """Put a statement below a condition that the function also tests elsewhere."""
    if not _is_in_function(node, context):
        return
    scope = context.scope(node)
    for condition in (*scope.conditions, *scope.names[:MAX_GUARD_NAMES]):
        if "\n" not in condition:
            yield f"if {condition}:\n{context.indent(node)}    {context.text(node)}"


@kind("guard", cost=5.0)
def add_guard(
    node: Wrappable | ast.Return | ast.If | ast.For | ast.While, context: Context
) -> Replacements:
    """Add `if not x: return …` before the first statement of a function."""
    function = context.function(node)
    if function is None or not _is_first(node, function):
        return
    parameters = [parameter.arg for parameter in function.args.args]
    parameters = [name for name in parameters if name not in ("self", "cls")]
    indent = context.indent(node)
    for name in parameters[:MAX_GUARDED_PARAMETERS]:
        for test, cost in GUARDS.items():
            head = f"if {test.format(name)}:\n{indent}    return"
            for value in ("None", "0", "[]", '""', "False", "True", name, "1"):
                yield Replacement(f"{head} {value}\n{indent}{context.text(node)}", cost)


def _is_first(node: ast.stmt, function: Function) -> bool:
    code = (statement for statement in function.body if not is_docstring(statement))
    return next(code, None) is node
