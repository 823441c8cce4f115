"""Reads the calls that mocks recorded, and compares them.

Mocks are read from their `__dict__`, because looking up an attribute creates a new mock.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pytest_starcoder.explain.equality import Pair, attributes
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr


class MockCall(NamedTuple):
    """A call of a mock. `name` is empty for a call of the mock itself."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        arguments = [short_repr(value) for value in self.args]
        arguments += [f"{name}={short_repr(value)}" for name, value in self.kwargs.items()]
        return one_line(f"{self.name or 'call'}({', '.join(arguments)})", 80)

    def arguments(self) -> dict[int | str, Any]:
        arguments: dict[int | str, Any] = dict(enumerate(self.args))
        arguments.update(self.kwargs)
        return arguments


def is_mock(value: object) -> bool:
    names = [(kind.__module__, kind.__name__) for kind in type(value).__mro__]
    return ("unittest.mock", "NonCallableMock") in names


def is_call(value: object) -> bool:
    if type(value) is MockCall:
        return True
    return type(value).__name__ == "_Call" and type(value).__module__ == "unittest.mock"


def as_call(value: Any) -> MockCall:
    """Return a recorded call, which is a tuple with or without a name, as a `MockCall`."""
    if type(value) is MockCall:
        return value
    parts = tuple.__getitem__(value, slice(None))
    name = parts[0] if len(parts) == 3 else ""
    return MockCall(name, *parts[-2:])


def calls_of(mock: object, name: str) -> list[MockCall]:
    """Return the calls that a mock recorded in one of its lists."""
    members = attributes(mock)
    # A function made by `create_autospec` records its calls itself.
    delegate = members.get("_mock_delegate")
    stored = members.get(f"_mock_{name}")
    if delegate is not None:
        stored = attributes(delegate).get(name)
    return [as_call(call) for call in stored or () if is_call(call)]


def compare_calls(pair: Pair, compare_item: Callable[[Pair], Iterator[str]]) -> Iterator[str]:
    """Yield the arguments in which two calls differ; `compare_item` describes one of them."""
    if pair.actual.name != pair.expected.name:
        yield f"{pair.at}it is {pair.actual}, not {pair.expected}"
        return
    actual, expected = pair.actual.arguments(), pair.expected.arguments()
    missing = [key for key in expected if key not in actual]
    extra = [key for key in actual if key not in expected]
    for key, other in _misplaced(pair, actual, expected):
        value = short_repr(expected[key])
        yield f"{pair.at}{value} is passed by {_manner(other)}, not by {_manner(key)}"
        missing.remove(key)
        extra.remove(other)
    for key in actual:
        if key in expected and pair.differs(actual[key], expected[key]):
            step = f" {_describe_argument(key)}" if pair.place else _describe_argument(key)
            yield from compare_item(pair.item(step, actual[key], expected[key]))
    for key in missing:
        yield f"{pair.at}{_describe_argument(key)} is missing: {short_repr(expected[key])}"
    for key in extra:
        yield f"{pair.at}{_describe_argument(key)} is unexpected: {short_repr(actual[key])}"


def _misplaced(
    pair: Pair, actual: dict[int | str, Any], expected: dict[int | str, Any]
) -> Iterator[tuple[int | str, int | str]]:
    """Yield arguments that are expected by name and passed by position, or the reverse."""
    extra = [key for key in actual if key not in expected]
    for key in expected:
        if key in actual:
            continue
        for other in extra:
            is_other_way = type(key) is not type(other)
            if is_other_way and pair.comparer.equal(actual[other], expected[key]):
                extra.remove(other)
                yield key, other
                break


def _manner(key: int | str) -> str:
    return "position" if isinstance(key, int) else f"the name {key}"


def _describe_argument(key: int | str) -> str:
    return f"argument {key + 1}" if isinstance(key, int) else f"the argument {key}"


def bound_call(mock: object, call: MockCall) -> MockCall:
    """Return a call with all arguments by name, if the mock knows the signature."""
    signature = attributes(mock).get("_spec_signature")
    if type(signature) is not inspect.Signature:
        return call
    try:
        return MockCall(call.name, (), signature.bind(*call.args, **call.kwargs).arguments)
    except TypeError:
        return call


def spec_of(value: object) -> tuple[str, list[str]]:
    """Return the name and attributes of the class that a mock stands for; empty if none."""
    members = attributes(value)
    spec = members.get("_spec_class")
    names = members.get("_mock_methods") if is_mock(value) else None
    if not isinstance(spec, type) or type(names) not in (list, set):
        return "", []
    return spec.__name__, sorted(name for name in names or () if type(name) is str)
