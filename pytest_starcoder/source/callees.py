"""Finds the functions that a failing line calls, by name and without running anything.

An assertion that fails in a test has no frame of the code under test: this is how that code
comes into the evidence.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard, TypeVar

from pytest_starcoder.source.functions import function_of

Kind = TypeVar("Kind")

MAX_CALLEES = 6
"""Maximum number of functions that are followed."""

MAX_WRAPPERS = 5
"""Maximum number of decorators around one function that are removed."""


def called_functions(
    frame: types.FrameType, line: int, is_followed: Callable[[str], bool]
) -> list[types.CodeType]:
    """Return the code of functions called up to `line` of `frame`, and of those they call.

    The call nearest above the line comes first. Only functions of files for which `is_followed`
    is true are returned and followed.
    """
    scope = {**frame.f_globals, **frame.f_locals}
    calls = [call for call in _calls(frame.f_code) if call.lineno <= line]
    calls.sort(key=lambda call: -call.lineno)
    # Breadth first: the functions on the line matter more than what they call.
    waiting = list(_functions_of(calls, scope))
    codes: list[types.CodeType] = []
    while waiting and len(codes) < MAX_CALLEES:
        function = waiting.pop(0)
        code = function.__code__
        if code not in codes and is_followed(code.co_filename):
            codes.append(code)
            waiting += _functions_of(_calls(code), function.__globals__)
    return codes


def _calls(code: types.CodeType) -> list[ast.Call]:
    """Return the calls in a function, in the order of their lines."""
    body = function_of(code)
    if body is None:
        return []  # a lambda or a comprehension, or its source is missing
    calls = [node for node in ast.walk(body) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: call.lineno)


def _functions_of(calls: list[ast.Call], scope: Mapping[str, Any]) -> Iterator[types.FunctionType]:
    for call in calls:
        function = entered_function(resolve_name(call.func, scope))
        if function is not None:
            yield function


def resolve_name(expression: ast.expr, scope: Mapping[str, Any]) -> object:
    """Return the object that a dotted name refers to, or None.

    No property, descriptor or `__getattr__` is run.
    """
    if isinstance(expression, ast.Name):
        return scope.get(expression.id)
    if not isinstance(expression, ast.Attribute):
        return None
    owner = resolve_name(expression.value, scope)
    if owner is None:
        return None
    return inspect.getattr_static(owner, expression.attr, None)


def entered_function(called: object) -> types.FunctionType | None:
    """Return the function that a call enters: a class's `__init__`, or what a decorator wraps."""
    if is_instance(called, type):
        called = inspect.getattr_static(called, "__init__", None)
    # Wrappers may wrap each other in a circle.
    for _ in range(MAX_WRAPPERS):
        if is_instance(called, staticmethod, classmethod, types.MethodType):
            called = called.__func__  # type: ignore[attr-defined]
        wrapped = inspect.getattr_static(called, "__wrapped__", None)
        if wrapped is None:
            break
        called = wrapped
    return called if is_instance(called, types.FunctionType) else None


def is_instance(value: object, *kinds: type[Kind]) -> TypeGuard[Kind]:
    """Return what `isinstance` does, without reading `value.__class__`: it may be a property."""
    return issubclass(type(value), kinds)
