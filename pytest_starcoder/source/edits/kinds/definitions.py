"""Decorators and default values of functions."""

from __future__ import annotations

import ast

from pytest_starcoder.source.edits.context import Context, is_docstring
from pytest_starcoder.source.edits.kind import Replacements, kind
from pytest_starcoder.source.functions import Function

METHOD_DECORATORS = ("staticmethod", "classmethod", "property")

EMPTY_COLLECTIONS = ("list()", "dict()", "set()")


def _decorated_text(node: Function, context: Context) -> str:
    start, end = context.decorated_span(node)
    return context.source[start:end]


@kind("decorator dropped", cost=2.0)
def drop_decorator(node: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Replacements:
    """Remove one decorator."""
    lines = _decorated_text(node, context).split("\n")
    for decorator in node.decorator_list:
        if decorator.end_lineno == decorator.lineno:
            index = decorator.lineno - node.decorator_list[0].lineno
            remaining = lines[:index] + lines[index + 1 :]
            yield "\n".join(remaining).removeprefix(context.indent(node))


@kind("decorator exchanged", cost=2.0)
def replace_decorator(
    node: ast.FunctionDef | ast.AsyncFunctionDef, context: Context
) -> Replacements:
    """Replace `@staticmethod` with `@classmethod` or `@property`."""
    text = _decorated_text(node, context)
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Name) or decorator.id not in METHOD_DECORATORS:
            continue
        for name in METHOD_DECORATORS:
            if name != decorator.id:
                yield text.replace(f"@{decorator.id}", f"@{name}", 1)


@kind("decorator added", cost=2.8)
def add_decorator(node: ast.FunctionDef, context: Context) -> Replacements:
    """Make a method a property, a static method or a class method."""
    if node.decorator_list or not isinstance(context.parent(node), ast.ClassDef):
        return
    parameters = [parameter.arg for parameter in node.args.args]
    names = []
    if parameters == ["self"]:
        names.append("property")
    elif parameters[:1] != ["self"]:
        names.append("staticmethod")
    if parameters[:1] == ["cls"]:
        names.append("classmethod")
    for name in names:
        yield f"@{name}\n{context.indent(node)}{context.text(node)}"


@kind("default value shared", cost=1.9)
def create_default(node: ast.FunctionDef | ast.AsyncFunctionDef, context: Context) -> Replacements:
    """Replace `def f(xs=[])` with `def f(xs=None)`, and create the list in the body."""
    source = context.source
    start, end = context.decorated_span(node)
    first = _first_statement(node)
    body_start, _ = context.span(first)
    indent = context.indent(first)
    parameters = [*node.args.posonlyargs, *node.args.args]
    defaults = node.args.defaults
    # Only the last parameters have defaults.
    with_defaults = parameters[len(parameters) - len(defaults) :]
    for parameter, default in zip(with_defaults, defaults, strict=True):
        name = parameter.arg
        value = context.text(default)
        is_display = isinstance(default, ast.List | ast.Dict | ast.Set)
        if not is_display and value not in EMPTY_COLLECTIONS:
            continue
        default_start, default_end = context.span(default)
        head = source[start:default_start] + "None" + source[default_end:body_start]
        creation = f"if {name} is None:\n{indent}    {name} = {value}\n{indent}"
        yield head + creation + source[body_start:end]


def _first_statement(node: Function) -> ast.stmt:
    """Return the first statement of a function after its docstring, or else its last one."""
    for statement in node.body:
        if not is_docstring(statement):
            return statement
    return node.body[-1]
