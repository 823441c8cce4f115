"""What functions do on inputs like those that tests gave them: how two edits that pass the same tests differ.

Runs in the process whose code is swapped. Inputs are those of the tests' own
calls and simple variations of them; outcomes are texts.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import copy
import inspect
import itertools
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType
from typing import Any

from pytest_starcoder.runner.code_swap import Swap, identity
from pytest_starcoder.text.reprs import short_repr

KEPT = 24
"""Calls of one function that are kept at the most."""

VARIED = 120
"""Inputs of one function at the most, those of the tests among them."""

CONSTANTS = 40
"""Of those at the most that come from the constants in the function's code."""

AWAITED = 1.0
"""Seconds that a coroutine is waited for."""

YIELDED = 200
"""Values of a generator that are looked at."""


@dataclass(frozen=True)
class Called:
    """One input: `text` is the call as a person writes it; `seen` whether a test made it."""

    function: FunctionType
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    text: str
    seen: bool


class Overdue(BaseException):
    """Raised in a call that has had its processor time."""


def outermost(swap: Swap) -> list[FunctionType]:
    """Of the functions whose code changes those that stand in no other one of them."""
    changed = [
        function
        for function, code in swap.items()
        if identity({function: code}) != identity({function: function.__code__})
    ]
    names = {function.__qualname__ for function in changed}
    return [
        function
        for function in changed
        if not any(function.__qualname__.startswith(f"{name}.<locals>.") for name in names)
    ]


class Inputs:
    """Keeps the arguments with which `functions` are called."""

    def __init__(self, functions: Iterable[FunctionType]) -> None:
        self._by_place = {
            (
                function.__code__.co_filename,
                function.__code__.co_firstlineno,
                function.__code__.co_qualname,
            ): function
            for function in functions
        }
        self._calls: dict[FunctionType, dict[str, Called]] = {}

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Within the block every call is looked at."""
        sys.setprofile(self._entered)
        try:
            yield
        finally:
            sys.setprofile(None)

    def varied(self) -> list[Called]:
        """The inputs that were seen, and variations of them: of each function no more than `VARIED`."""
        found: list[Called] = []
        for calls in self._calls.values():
            own = dict(calls)
            for call in _variations(calls.values()):
                if len(own) >= VARIED:
                    break
                own.setdefault(call.text, call)
            found += own.values()
        return found

    def _entered(self, frame: FrameType, event: str, _arg: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        function = self._by_place.get((code.co_filename, code.co_firstlineno, code.co_qualname))
        if function is None:
            return
        calls = self._calls.setdefault(function, {})
        if len(calls) >= KEPT:
            return
        sys.setprofile(None)
        try:
            count = code.co_argcount
            names = code.co_varnames[:count]
            keywords = code.co_varnames[count : count + code.co_kwonlyargcount]
            local = frame.f_locals
            rest = (
                local[code.co_varnames[count + code.co_kwonlyargcount]] if code.co_flags & 4 else ()
            )
            arguments = copy.deepcopy(tuple(local[name] for name in names) + tuple(rest))
            named = copy.deepcopy({name: local[name] for name in keywords})
            call = Called(function, arguments, named, call_text(function, arguments, named), True)
            calls.setdefault(call.text, call)
        except Exception:  # noqa: BLE001 - what cannot be copied cannot be called again
            pass
        finally:
            sys.setprofile(self._entered)


def call_text(function: FunctionType, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """A call as a person writes it: `mean([1, 2])`, `stack.push(3)`."""
    name = function.__name__
    method = "." in function.__qualname__.replace(".<locals>.", "") and arguments
    owner = f"{shown(arguments[0])}." if method else ""
    told = [short_repr(value) for value in (arguments[1:] if method else arguments)]
    told += [f"{key}={short_repr(value)}" for key, value in named.items()]
    return f"{owner}{name}({', '.join(told)})"


def written(call: Called) -> str:
    """The call as code that a test can run, behind the import that it needs; empty where there is none."""
    function = call.function
    if "." in function.__qualname__ or function.__module__ in (None, "__main__"):
        return ""
    parts = [repr(value) for value in call.arguments]
    parts += [f"{key}={value!r}" for key, value in call.named.items()]
    for text, value in zip(parts, (*call.arguments, *call.named.values()), strict=True):
        try:
            if (
                ast.literal_eval(
                    text.partition("=")[2] if text.partition("=")[0] in call.named else text
                )
                != value
            ):
                return ""
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ""
    return f"from {function.__module__} import {function.__name__}\n{function.__name__}({', '.join(parts)})"


def shown(value: object) -> str:
    """A value as a text; an object that has no text of its own by its attributes: `Account(balance=3)`."""
    if type(value).__repr__ is not object.__repr__ or not hasattr(value, "__dict__"):
        return short_repr(value)
    held = [f"{name}={short_repr(part)}" for name, part in list(vars(value).items())[:6]]
    return f"{type(value).__name__}({', '.join(held)})"


def outcome_of(call: Called, limit: float) -> str:
    """What a call does, within `limit` seconds of processor time."""
    try:
        arguments, named = copy.deepcopy((call.arguments, dict(call.named)))
    except Exception:  # noqa: BLE001
        return "cannot be called again"
    before = [shown(value) for value in arguments]
    previous = signal.signal(signal.SIGVTALRM, _overdue)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, limit, limit)
        try:
            result = call.function(*arguments, **named)
            if inspect.iscoroutine(result):
                result = asyncio.run(asyncio.wait_for(result, AWAITED))
            if inspect.isgenerator(result):
                result = list(itertools.islice(result, YIELDED))
            told = f"returns {shown(result)}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except Overdue:
        return "does not return"
    except BaseException as exc:  # noqa: BLE001 - it may raise anything
        return f"raises {type(exc).__name__}"
    finally:
        signal.signal(signal.SIGVTALRM, previous)
    after = [shown(value) for value in arguments]
    changed = [value for value, old in zip(after, before, strict=True) if value != old]
    return f"{told} and leaves {', '.join(changed)}" if changed else told


def _overdue(_signal: int, _frame: FrameType | None) -> None:
    raise Overdue


def _variations(calls: Iterable[Called]) -> Iterator[Called]:
    """Calls with one argument changed: by what the code itself holds, then the simplest changes of every call first."""
    calls = list(calls)
    yield from itertools.islice(
        (other for call in calls[:1] for other in _with_constants(call)), CONSTANTS
    )
    streams = [_changed(call) for call in calls]
    while streams:
        for stream in list(streams):
            call = next(stream, None)
            if call is None:
                streams.remove(stream)
            else:
                yield call


def _changed(call: Called) -> Iterator[Called]:
    pools = [list(_varied(value)) for value in call.arguments]
    for round_ in range(max(map(len, pools), default=0)):
        for index, pool in enumerate(pools):
            if round_ < len(pool):
                arguments = (*call.arguments[:index], pool[round_], *call.arguments[index + 1 :])
                yield Called(
                    call.function,
                    arguments,
                    call.named,
                    call_text(call.function, arguments, call.named),
                    False,
                )


def _with_constants(call: Called) -> Iterator[Called]:
    """A call with one argument replaced by values near to those in the function's code: where it decides something."""
    held = list(_constants(call.function.__code__))
    for index, value in enumerate(call.arguments):
        pool: list[object] = []
        if type(value) is int:
            numbers = [constant for constant in held if type(constant) is int]
            pool += [number + step for number in numbers for step in (0, 1, -1)]
            pool += [one + other for one, other in itertools.combinations(numbers, 2)]
        elif type(value) is str:
            texts = [
                constant for constant in held if type(constant) is str and 0 < len(constant) <= 12
            ]
            pool += [
                *texts,
                *(f"{value}{text}{value}" for text in texts),
                f"{value} \u00e9",
                f"{value}--{value}",
                f"{value}1",
            ]
        for other in dict.fromkeys(pool):
            if other != value:
                arguments = (*call.arguments[:index], other, *call.arguments[index + 1 :])
                text = call_text(call.function, arguments, call.named)
                yield Called(call.function, arguments, call.named, text, False)


def _constants(code: CodeType) -> Iterator[object]:
    """The constants in a function's code, and in what is defined within it."""
    documented = isinstance(next(iter(code.co_consts), None), str)  # a docstring comes first
    for constant in code.co_consts[documented:]:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        elif isinstance(constant, tuple | frozenset):
            yield from constant
        else:
            yield constant


def _varied(value: object) -> Iterator[object]:
    """Values of the same type, those at the edges of what it holds first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from dict.fromkeys(
            other
            for other in (0, 1, value + 1, value - 1, 2, -value, value * 2, 10)
            if other != value
        )
    elif isinstance(value, float):
        yield from dict.fromkeys(
            other for other in (0.0, 1.0, value + 0.5, -value, value * 2) if other != value
        )
    elif isinstance(value, str):
        half = value[: len(value) // 2]
        yield from dict.fromkeys(
            other
            for other in (
                "",
                value[:1],
                value[::-1],
                value[1:],
                value + value,
                half,
                value.swapcase(),
                "a",
                f" {value}",
            )
            if other != value
        )
    elif isinstance(value, list | tuple):
        kind = type(value)
        if kind not in (list, tuple):
            return
        items = list(value)
        inner = [
            [*items[:index], other, *items[index + 1 :]]
            for index in range(min(2, len(items)))
            for other in itertools.islice(_varied(items[index]), 3)
        ]
        shapes = [
            [],
            items[:1],
            items[1:],
            items[::-1],
            items + items,
            items[:-1],
            *inner,
            sorted(items, key=repr),
        ]
        yield from (kind(shape) for shape in shapes if shape != items)
    elif isinstance(value, dict) and type(value) is dict:
        yield {}
        for key in list(value)[:2]:
            yield {other: held for other, held in value.items() if other != key}
    elif isinstance(value, set) and type(value) is set:
        yield set()
        yield set(itertools.islice(value, 1))
