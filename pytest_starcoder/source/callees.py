"""The project functions that a failing line calls, found by name and without running anything.

An assertion that fails in a test has no frame of the code under test: this is
how that code comes into the evidence.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pytest_starcoder.source.syntax import syntax_tree

FUNCTIONS = 6
"""Functions that are followed at the most."""


def called_functions(
    frame: types.FrameType, line: int, wanted: Callable[[str], bool]
) -> list[types.CodeType]:
    """Code of the functions called up to `line` of `frame`, the nearest call first, then of those they call.

    Only functions of files for which `wanted` holds are named and followed.
    """
    scope = {**frame.f_globals, **frame.f_locals}
    waiting = list(_called(function_around(frame.f_code), scope, line))
    found: dict[types.CodeType, None] = {}
    while waiting and len(found) < FUNCTIONS:
        function = waiting.pop(0)
        code = function.__code__
        if code in found or not wanted(code.co_filename):
            continue
        found[code] = None
        waiting.extend(_called(function_around(code), function.__globals__, None))
    return list(found)


@lru_cache(maxsize=16)
def functions(source: str) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    """Every `def` in `source`."""
    tree = syntax_tree(source)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return tuple(node for node in ast.walk(tree) if isinstance(node, kinds)) if tree else ()


def function_around(code: types.CodeType) -> ast.AST | None:
    """The syntax tree of the function that `code` is of."""
    source = "".join(linecache.getlines(code.co_filename))
    if code.co_name == "<module>":
        return syntax_tree(source)
    for node in functions(source):
        if node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first <= code.co_firstlineno <= node.lineno:
                return node
    return None


def _called(
    body: ast.AST | None, scope: Mapping[str, Any], line: int | None
) -> Iterator[types.FunctionType]:
    """What the calls in `body` name, the ones nearest above `line` first; all, in their order, where that is None."""
    if body is None:
        return
    calls = [
        node
        for node in ast.walk(body)
        if isinstance(node, ast.Call) and (line is None or node.lineno <= line)
    ]
    calls.sort(key=lambda call: call.lineno if line is None else -call.lineno)
    for call in calls:
        function = _function(_named(call.func, scope))
        if function is not None:
            yield function


def _named(expression: ast.expr, scope: Mapping[str, Any]) -> object:
    """The object that a dotted name means, found without running a property, a descriptor or a `__getattr__`."""
    if isinstance(expression, ast.Name):
        return scope.get(expression.id)
    if not isinstance(expression, ast.Attribute):
        return None
    owner = _named(expression.value, scope)
    return None if owner is None else inspect.getattr_static(owner, expression.attr, None)


def _function(named: object) -> types.FunctionType | None:
    """The function that calling `named` enters: of a class its `__init__`, of a decorated function the inner one."""
    if _is(named, type):
        named = inspect.getattr_static(named, "__init__", None)
    for _ in range(5):
        if _is(named, staticmethod, classmethod, types.MethodType):
            named = named.__func__  # type: ignore[attr-defined]
        inner = inspect.getattr_static(named, "__wrapped__", None)
        if inner is None:
            break
        named = inner
    return named if _is(named, types.FunctionType) else None  # type: ignore[return-value]


def _is(value: object, *kinds: type) -> bool:
    """isinstance, without asking `value`: a proxy's `__class__` may be a property."""
    return issubclass(type(value), kinds)
