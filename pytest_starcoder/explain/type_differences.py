"""Describes values that are of another type than expected."""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pytest_starcoder.explain.equality import attributes, is_trusted, plain
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.reprs import short_repr

FUNCTION_TYPES = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)

ITERATOR_TYPES = {
    types.GeneratorType,
    types.AsyncGeneratorType,
    map,
    filter,
    zip,
    enumerate,
    reversed,
    type(iter([])),
}
"""Types whose items can be taken only once, and so are not looked at."""

TYPE_NAMES: dict[type, str] = {
    bool: "a boolean",
    **dict.fromkeys((int, float, complex, Decimal, Fraction), "a number"),
    str: "a string",
    bytes: "bytes",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
    set: "a set",
    frozenset: "a set",
    types.NoneType: "None",
}
"""Types with the same name are not told apart."""


def compare_types(actual: object, expected: object) -> Iterator[str]:
    """Yield the likely mistake behind a value of another type than expected, if there is one."""
    kind, expected_kind = type(actual), type(expected)
    mistake = _forgotten_step(actual, expected)
    if mistake:
        yield mistake
    # Typically a module that was imported twice, under two names.
    elif kind is not expected_kind and kind.__name__ == expected_kind.__name__:
        modules = f"one from {kind.__module__} and one from {expected_kind.__module__}"
        yield f"two different types are named {kind.__name__}: {modules}"
    elif _type_name(actual) != _type_name(expected) and is_trusted(expected):
        yield f"the value is {_type_name(actual)}, not {_type_name(expected)}"
        yield from _compare_as_strings(actual, expected)


def _forgotten_step(actual: object, expected: object) -> str:
    """Return what was forgotten: to return, await, consume or call something."""
    kind = type(actual).__name__
    if actual is None and expected is not None:
        return "the value is None: nothing was returned?"
    if is_instance(actual, types.CoroutineType):
        return "the value is a coroutine: was it awaited?"
    if type(actual) in ITERATOR_TYPES and type(expected) not in ITERATOR_TYPES:
        return f"the value is a {kind.replace('_', ' ')}: was it iterated?"
    if is_instance(actual, *FUNCTION_TYPES) and not callable(expected):
        return "the value is the function itself: was it called?"
    if is_instance(actual, type) and not is_instance(expected, type):
        return f"the value is the class {actual.__name__} itself: was it called?"
    # A module that was never imported has made no mocks.
    mock_class = getattr(sys.modules.get("unittest.mock"), "NonCallableMock", None)
    if isinstance(mock_class, type) and is_instance(actual, mock_class):
        return "the value is a mock: was its return_value set?"
    is_member = is_instance(actual, enum.Enum) and not is_instance(expected, enum.Enum)
    if is_member and attributes(actual).get("_value_") == plain(expected):
        return f"the value is a member of {kind}: its .value would be equal"
    return ""


def _compare_as_strings(actual: Any, expected: Any) -> Iterator[str]:
    actual, expected = plain(actual), plain(expected)
    kinds = {type(actual), type(expected)}
    if kinds == {str, bytes}:
        if _encode(actual) == _encode(expected):
            yield "decoded as UTF-8, they are equal"
    elif type(actual) is str:
        if actual.strip() == short_repr(expected):
            yield "as strings, they are equal"
    elif type(expected) is str and expected == short_repr(actual):
        yield "as strings, they are equal"


def _encode(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _type_name(value: object) -> str:
    kind = type(value)
    # Of a subclass, the name of its builtin type.
    name = TYPE_NAMES.get(kind) or TYPE_NAMES.get(type(plain(value)))
    if name:
        return name
    article = "an" if kind.__name__[0].lower() in "aeiou" else "a"
    return f"{article} {kind.__name__}"
