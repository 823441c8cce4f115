"""Recorded calls, their variations and their outcomes."""

from __future__ import annotations

import asyncio
from types import FunctionType
from typing import Any

import pytest

from pytest_starcoder.runner.behaviour import (
    MAX_INPUTS,
    MAX_RECORDED,
    Called,
    Inputs,
    code_of,
    outcome_of,
)


def plus(a: int, b: int = 1, *more: int, sign: int = 1) -> int:
    return a + b * sign + sum(more)


def called(function: Any, *arguments: Any, **keywords: Any) -> Called:
    return Called(function, arguments, keywords)


def inputs(function: Any, *calls: tuple[Any, ...]) -> list[Called]:
    recorder = Inputs([function])
    with recorder.recording():
        for arguments in calls:
            function(*arguments)
    return recorder.with_variations()


def test_variations() -> None:
    texts = [call.text for call in inputs(plus, (3,), (3, 4, 5))]
    assert texts[:2] == ["plus(3, 1, sign=1)", "plus(3, 4, 5, sign=1)"]
    assert "plus(0, 1, sign=1)" in texts
    assert "plus(3, 4, 0, sign=1)" in texts


def test_limits() -> None:
    calls = inputs(plus, *((number + 1000, 1) for number in range(1000)))
    recorded = [call for call in calls if call.arguments[1:] == (1,)]
    assert [call.arguments[0] for call in recorded[:MAX_RECORDED]] == [*range(1000, 1024)]
    assert len(calls) == MAX_INPUTS


def test_arguments_are_copied() -> None:
    def drain(xs: list[int]) -> None:
        xs.clear()

    [first, *_] = inputs(drain, ([1, 2],))
    assert first.arguments == ([1, 2],)


class Account:
    def __init__(self) -> None:
        self.balance = 3

    def take(self, amount: int) -> None:
        self.balance -= amount


def test_method() -> None:
    call = called(Account.take, Account(), 2)
    assert call.text == "Account(balance=3).take(2)"
    assert outcome_of(call, 1) == "returns None and leaves Account(balance=1)"
    assert outcome_of(call, 1) == "returns None and leaves Account(balance=1)", "on a copy"


def raises(_: int) -> None:
    raise KeyError("x")


def ends(_: int) -> None:
    raise SystemExit


def loops(_: int) -> None:
    while True:
        pass


async def waits(n: int) -> int:
    await asyncio.sleep(0)
    return n


def yields(n: int) -> Any:
    yield from range(n)


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        (raises, "raises KeyError"),
        (ends, "raises SystemExit"),
        (loops, "does not return"),
        (yields, "returns [0, 1, 2]"),
        (waits, "returns 3"),
    ],
)
def test_outcome(function: FunctionType, outcome: str) -> None:
    assert outcome_of(called(function, 3), 0.2) == outcome


def test_uncopyable_arguments() -> None:
    class Once:
        def __deepcopy__(self, _: object) -> None:
            raise TypeError

    def use(_: object) -> None:
        pass

    assert inputs(use, (Once(),)) == []


def near(value: Any) -> Any:
    if value == 17:
        return value + 4
    return "sep" if value == "comma" else value


@pytest.mark.parametrize(
    ("argument", "variants"),
    [
        (5, ["17", "18", "16", "21", "0", "10"]),
        ("ab", ["'comma'", "'abcommaab'", "'ab1'", "''", "'ba'", "'AB'"]),
        (True, ["False"]),
        (2.5, ["0.0", "3.0", "-2.5"]),
        ([1, 2], ["[]", "[2]", "[2, 1]", "[0, 2]", "[1, 0]"]),
        ((1, 2), ["()", "(2, 1)"]),
        ({"a": 1}, ["{}"]),
        ({1, 2}, ["set()", "{1}"]),
    ],
    ids=["int", "str", "bool", "float", "list", "tuple", "dict", "set"],
)
def test_variants(argument: object, variants: list[str]) -> None:
    texts = {call.text for call in inputs(near, (argument,))}
    assert {f"near({variant})" for variant in variants} <= texts


def test_written_call() -> None:
    code = code_of(called(plus, 3, 4, sign=-1))
    assert code == f"from {__name__} import plus\nplus(3, 4, sign=-1)"
    assert code_of(called(plus, object())) == ""
    assert code_of(called(Account.take, Account(), 2)) == ""
