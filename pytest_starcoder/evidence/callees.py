"""The project functions that a failing line calls, found by name and without running anything.

An assertion that fails in a test has no frame of the code under test: this is
how that code comes into the evidence.
"""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

FUNCTIONS = 6
"""Functions that are followed at the most."""


def called_functions(frame: types.FrameType, line: int, wanted: Callable[[str], bool]) -> list[types.CodeType]:
    """Code of the functions called up to `line` of `frame`, the nearest call first, then of those they call.

    Only functions of files for which `wanted` holds are named and followed.
    """
    scope = {**frame.f_globals, **frame.f_locals}
    waiting = list(_called(_body(frame.f_code), scope, line))
    found: dict[types.CodeType, None] = {}
    while waiting and len(found) < FUNCTIONS:
        function = waiting.pop(0)
        code = function.__code__
        if code in found or not wanted(code.co_filename):
            continue
        found[code] = None
        waiting.extend(_called(_body(code), function.__globals__, None))
    return list(found)


def _body(code: types.CodeType) -> ast.AST | None:
    """The syntax tree of the function that `code` is of."""
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError, RecursionError):
        return None
    if code.co_name == "<module>":
        return tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first <= code.co_firstlineno <= node.lineno:
                return node
    return None


def _called(body: ast.AST | None, scope: Mapping[str, Any], line: int | None) -> Iterator[types.FunctionType]:
    """What the calls in `body` name, the ones nearest above `line` first; all, in their order, where that is None."""
    if body is None:
        return
    calls = [node for node in ast.walk(body) if isinstance(node, ast.Call) and (line is None or node.lineno <= line)]
    calls.sort(key=lambda call: call.lineno if line is None else -call.lineno)
    for call in calls:
        function = _function(_named(call.func, scope))
        if function is not None:
            yield function


def _named(expression: ast.expr, scope: Mapping[str, Any]) -> object:
    """The object that a dotted name means, read from dictionaries alone: no property or `__getattr__` is run."""
    if isinstance(expression, ast.Name):
        return scope.get(expression.id)
    if not isinstance(expression, ast.Attribute):
        return None
    owner = _named(expression.value, scope)
    if owner is None:
        return None
    if isinstance(owner, types.ModuleType):
        return owner.__dict__.get(expression.attr)
    classes = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    return next((vars(cls)[expression.attr] for cls in classes if expression.attr in vars(cls)), None)


def _function(named: object) -> types.FunctionType | None:
    """The function that calling `named` enters: of a class its `__init__`, of a decorated function the inner one."""
    if isinstance(named, type):
        named = vars(named).get("__init__")
    if isinstance(named, staticmethod | classmethod | types.MethodType):
        named = named.__func__
    for _ in range(5):
        if not isinstance(named, types.FunctionType) or "__wrapped__" not in named.__dict__:
            break
        named = named.__dict__["__wrapped__"]
    return named if isinstance(named, types.FunctionType) else None
