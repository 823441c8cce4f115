"""Describes values whose type is not the expected one."""

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
"""Types whose items can be taken only once, and so are not inspected."""

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
"""Names of types in sentences; types with the same name are not distinguished."""


def compare_types(actual: object, expected: object) -> Iterator[str]:
    """Yield the likely mistake behind a value of the wrong type, if one is recognized."""
    kind, expected_kind = type(actual), type(expected)
    mistake = _forgotten_step(actual, expected) or _wrong_object(actual, expected)
    if mistake:
        yield mistake
        return
    # Typically, a module was imported twice under two names.
    if kind is not expected_kind and kind.__name__ == expected_kind.__name__:
        modules = f"one from {kind.__module__} and one from {expected_kind.__module__}"
        yield f"two different types are named {kind.__name__}: {modules}"
        return
    name = _type_name(actual)
    expected_name = _type_name(expected)
    if name != expected_name and is_trusted(expected):
        yield f"the value is {name}, not {expected_name}"
        yield from _compare_as_strings(actual, expected)


def _forgotten_step(actual: object, expected: object) -> str:
    """Return a hint that something was not returned, awaited, consumed or called."""
    if actual is None and expected is not None:
        return "the value is None: nothing was returned?"
    if is_instance(actual, types.CoroutineType):
        return "the value is a coroutine: was it awaited?"
    if type(actual) in ITERATOR_TYPES and type(expected) not in ITERATOR_TYPES:
        kind = type(actual).__name__.replace("_", " ")
        return f"the value is a {kind}: was it iterated?"
    if is_instance(actual, *FUNCTION_TYPES) and not callable(expected):
        return "the value is the function itself: was it called?"
    if is_instance(actual, type) and not is_instance(expected, type):
        return f"the value is the class {actual.__name__} itself: was it called?"
    return ""


def _wrong_object(actual: object, expected: object) -> str:
    """Return a hint that the value is a mock, or an enum member instead of its value."""
    # If the module was never imported, there are no mocks, and importing it is slow.
    mock_module = sys.modules.get("unittest.mock")
    mock_class = getattr(mock_module, "NonCallableMock", None)
    if isinstance(mock_class, type) and is_instance(actual, mock_class):
        return "the value is a mock: was its return_value set?"
    if not is_instance(actual, enum.Enum) or is_instance(expected, enum.Enum):
        return ""
    # From the `__dict__`, because `value` may be overridden.
    if attributes(actual).get("_value_") == plain(expected):
        kind = type(actual).__name__
        return f"the value is a member of {kind}: its .value would be equal"
    return ""


def _compare_as_strings(actual: Any, expected: Any) -> Iterator[str]:
    actual = plain(actual)
    expected = plain(expected)
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
    if isinstance(text, bytes):
        return text
    return text.encode("utf-8", "surrogateescape")


def _type_name(value: object) -> str:
    """Return the name of a value's type with an article; a subclass has its builtin's name."""
    kind = type(value)
    name = TYPE_NAMES.get(kind) or TYPE_NAMES.get(type(plain(value)))
    if name:
        return name
    article = "an" if kind.__name__[0].lower() in "aeiou" else "a"
    return f"{article} {kind.__name__}"
