"""Calls edited functions with the inputs of the tests and variations of them.

It runs in the process whose code is swapped, and describes each outcome as text, so that
outcomes of different edits can be compared.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dis
import inspect
import itertools
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import CodeType, FrameType, FunctionType
from typing import Any

from pytest_starcoder.runner.code_swap import Swap, identity, installed_code
from pytest_starcoder.text.reprs import short_repr

MAX_RECORDED = 24
"""Recorded calls per function."""

MAX_INPUTS = 120
"""Inputs per function, recorded calls included."""

MAX_FROM_CONSTANTS = 40
"""Inputs per function that come from the constants in its code."""

MAX_CONSTANT_LENGTH = 12
"""Characters of a text constant that is used for inputs."""

MAX_ATTRIBUTES = 6
"""Attributes shown of an object without a repr."""

COROUTINE_SECONDS = 1.0
"""Limit of an observed coroutine, in seconds of wall-clock time."""

MAX_YIELDED = 200
"""Values taken from a generator."""


@dataclass(frozen=True)
class Called:
    """The arguments of one call of a function."""

    function: FunctionType
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @cached_property
    def text(self) -> str:
        """The call as a person writes it: `mean([1, 2])`, `stack.push(3)`."""
        arguments = self.arguments
        name = self.function.__name__
        qualified_name = self.function.__qualname__.replace(".<locals>.", "")
        is_method = "." in qualified_name
        if is_method and arguments:
            name = f"{object_text(arguments[0])}.{name}"
            arguments = arguments[1:]
        parts = [*map(short_repr, arguments), *_assignments(self.keywords.items())]
        return f"{name}({', '.join(parts)})"

    def with_argument(self, position: int, value: object) -> Called:
        before, after = self.arguments[:position], self.arguments[position + 1 :]
        return replace(self, arguments=(*before, value, *after))


class Overdue(BaseException):
    """Raised in a call that has used its processor time."""


def outermost(swap: Swap) -> list[FunctionType]:
    """Return the functions whose code changes, without those defined inside another of them."""
    changed = []
    prefixes: tuple[str, ...] = ()
    for function, code in swap.items():
        if identity({function: code}) != identity(installed_code([function])):
            changed.append(function)
            prefixes += (f"{function.__qualname__}.<locals>.",)
    return [function for function in changed if not function.__qualname__.startswith(prefixes)]


class Inputs:
    """Records the arguments with which `functions` are called."""

    def __init__(self, functions: Iterable[FunctionType]) -> None:
        self._functions = {_place_of(function.__code__): function for function in functions}
        self._calls: dict[FunctionType, dict[str, Called]] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record all calls within the block."""
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)

    def with_variations(self) -> list[Called]:
        """Return the recorded calls and variations of them."""
        inputs: list[Called] = []
        for recorded in self._calls.values():
            calls = dict(recorded)
            for call in _variations(list(recorded.values())):
                if len(calls) >= MAX_INPUTS:
                    break
                calls.setdefault(call.text, call)
            inputs += calls.values()
        return inputs

    def _profile(self, frame: FrameType, event: str, _arg: object) -> None:
        if event != "call":
            return
        function = self._functions.get(_place_of(frame.f_code))
        if function is None:
            return
        calls = self._calls.setdefault(function, {})
        if len(calls) >= MAX_RECORDED:
            return
        sys.setprofile(None)  # copying the arguments calls functions too
        try:
            call = _call_in(frame, function)
            calls.setdefault(call.text, call)
        except Exception:  # noqa: BLE001 - without copies the call cannot be repeated
            pass
        finally:
            sys.setprofile(self._profile)


def _place_of(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _call_in(frame: FrameType, function: FunctionType) -> Called:
    """Copy the arguments of a call that begins."""
    code, values = frame.f_code, frame.f_locals
    count = code.co_argcount
    total = count + code.co_kwonlyargcount
    arguments = [values[name] for name in code.co_varnames[:count]]
    if code.co_flags & inspect.CO_VARARGS:
        arguments += values[code.co_varnames[total]]
    keywords = {name: values[name] for name in code.co_varnames[count:total]}
    return Called(function, copy.deepcopy(tuple(arguments)), copy.deepcopy(keywords))


def code_of(call: Called) -> str:
    """Return an import and the call as code for a test; empty if a test cannot make the call."""
    function = call.function
    is_nested = "." in function.__qualname__
    if is_nested or function.__module__ in (None, "__main__"):
        return ""
    values = (*call.arguments, *call.keywords.values())
    if not all(map(_has_literal, values)):
        return ""
    parts = list(map(repr, call.arguments))
    for keyword, value in call.keywords.items():
        parts.append(f"{keyword}={value!r}")
    name = function.__name__
    arguments = ", ".join(parts)
    return f"from {function.__module__} import {name}\n{name}({arguments})"


def _has_literal(value: object) -> bool:
    """Return whether the repr of a value is a literal for it."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def object_text(value: object) -> str:
    """Return a short repr, or `Account(balance=3)` for an object that defines none."""
    if type(value).__repr__ is not object.__repr__ or not hasattr(value, "__dict__"):
        return short_repr(value)
    attributes = itertools.islice(vars(value).items(), MAX_ATTRIBUTES)
    parts = ", ".join(_assignments(attributes))
    return f"{type(value).__name__}({parts})"


def _assignments(values: Iterable[tuple[str, object]]) -> list[str]:
    return [f"{name}={short_repr(value)}" for name, value in values]


def outcome_of(call: Called, limit: float) -> str:
    """Make a call on copies of its arguments, within `limit` seconds of processor time."""
    try:
        arguments, keywords = copy.deepcopy((call.arguments, dict(call.keywords)))
    except Exception:  # noqa: BLE001 - somebody's __deepcopy__ may raise anything
        return "cannot be called again"
    before = list(map(object_text, arguments))
    previous = signal.signal(signal.SIGVTALRM, _raise_overdue)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, limit, limit)
        try:
            result = _result(call.function, arguments, keywords)
            outcome = f"returns {object_text(result)}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except Overdue:
        return "does not return"
    except BaseException as exc:  # noqa: BLE001 - it may raise anything
        return f"raises {type(exc).__name__}"
    finally:
        signal.signal(signal.SIGVTALRM, previous)
    changed = []
    for value, text_before in zip(arguments, before, strict=True):
        text = object_text(value)
        if text != text_before:
            changed.append(text)
    if changed:
        return f"{outcome} and leaves {', '.join(changed)}"
    return outcome


def _result(function: FunctionType, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    result = function(*arguments, **keywords)
    if inspect.iscoroutine(result):
        import asyncio  # slow, and needed for few functions

        result = asyncio.run(asyncio.wait_for(result, COROUTINE_SECONDS))
    if inspect.isgenerator(result):
        result = list(itertools.islice(result, MAX_YIELDED))
    return result


def _raise_overdue(_signal: int, _frame: FrameType | None) -> None:
    raise Overdue


# --- variations of calls -------------------------------------------------------------------


def _variations(calls: Sequence[Called]) -> Iterator[Called]:
    """Yield calls with one argument changed.

    Values near the constants in the code come first, since those often decide which branch
    is taken; then come the simplest changes of every call.
    """
    for call in calls[:1]:
        yield from itertools.islice(_near_constants(call), MAX_FROM_CONSTANTS)
    # One variation of each call in turn.
    for group in itertools.zip_longest(*map(_simple_variations, calls)):
        yield from filter(None, group)


def _simple_variations(call: Called) -> Iterator[Called]:
    variants = [_variants(value) for value in call.arguments]
    for group in itertools.zip_longest(*variants, fillvalue=call):
        for position, variant in enumerate(group):
            if variant is not call:
                yield call.with_argument(position, variant)


def _near_constants(call: Called) -> Iterator[Called]:
    """Yield the call with an argument replaced by values near the constants in the code."""
    numbers: list[int] = []
    texts: list[str] = []
    for constant in _constants(call.function.__code__):
        if type(constant) is int:  # not a bool
            numbers.append(constant)
        elif isinstance(constant, str) and 0 < len(constant) <= MAX_CONSTANT_LENGTH:
            texts.append(constant)
    for position, value in enumerate(call.arguments):
        variants: list[object] = []
        if type(value) is int:
            variants += _near_numbers(numbers)
        elif type(value) is str:
            variants += _texts_with(texts, value)
        for variant in dict.fromkeys(variants):
            if variant != value:
                yield call.with_argument(position, variant)


def _near_numbers(numbers: Sequence[int]) -> Iterator[int]:
    for number in numbers:
        yield from (number, number + 1, number - 1)
    # The code may add two of its constants up before it compares.
    yield from map(sum, itertools.combinations(numbers, 2))


def _texts_with(constants: Sequence[str], value: str) -> Iterator[str]:
    """Yield the constants, the value around each, and the value with unusual characters."""
    yield from constants
    for constant in constants:
        yield f"{value}{constant}{value}"
    yield from (f"{value} \u00e9", f"{value}--{value}", f"{value}1")


def _constants(code: CodeType) -> Iterator[object]:
    """Yield the constants in a function's code and in functions inside of it."""
    constants = code.co_consts
    if constants and isinstance(constants[0], str):
        constants = constants[1:]  # the docstring
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        elif isinstance(constant, tuple | frozenset):
            yield from constant
        else:
            yield constant
    # Since Python 3.14, small integers stand in the instructions only.
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_SMALL_INT":
            yield instruction.argval


def _variants(value: Any) -> list[Any]:
    """Return values of the same type, edge cases first."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float | str):
        return _scalar_variants(value)
    if type(value) in (list, tuple):
        return _sequence_variants(value)
    if type(value) is dict:
        variants: list[Any] = [{}]
        for key in itertools.islice(value, 2):
            smaller = dict(value)
            del smaller[key]
            variants.append(smaller)
        return variants
    if type(value) is set:
        return [set(), set(itertools.islice(value, 1))]
    return []


def _scalar_variants(value: int | float | str) -> list[Any]:
    variants: list[Any]
    if isinstance(value, int):
        variants = [0, 1, value + 1, value - 1, 2, -value, value * 2, 10]
    elif isinstance(value, float):
        variants = [0.0, 1.0, value + 0.5, -value, value * 2]
    else:
        half = value[: len(value) // 2]
        variants = ["", value[:1], value[::-1], value[1:], value + value]
        variants += [half, value.swapcase(), "a", f" {value}"]
    return [variant for variant in dict.fromkeys(variants) if variant != value]


def _sequence_variants(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    items = list(value)
    variants = [[], items[:1], items[1:], items[::-1], items + items, items[:-1]]
    for index, item in enumerate(items[:2]):
        before, after = items[:index], items[index + 1 :]
        for variant in _variants(item)[:3]:
            variants.append([*before, variant, *after])
    variants.append(sorted(items, key=repr))
    return [type(value)(variant) for variant in variants if variant != items]
