"""What functions do on inputs like those of the tests: the calls, their variations, their outcomes."""

from __future__ import annotations

import asyncio
from types import FunctionType
from typing import Any

import pytest

from pytest_starcoder.runner.behaviour import KEPT, VARIED, Called, Inputs, call_text, outcome_of


def plus(a: int, b: int = 1, *more: int, sign: int = 1) -> int:
    return a + b * sign + sum(more)


def called(function: Any, *arguments: Any, **named: Any) -> Called:
    return Called(function, arguments, named, call_text(function, arguments, named), True)


def inputs(function: Any, *calls: tuple[Any, ...]) -> list[Called]:
    found = Inputs([function])
    with found.kept():
        for arguments in calls:
            function(*arguments)
    return found.varied()


def test_calls_are_kept_as_a_person_writes_them_and_varied() -> None:
    told = [call.text for call in inputs(plus, (3,), (3, 4, 5))]
    assert told[:2] == ["plus(3, 1, sign=1)", "plus(3, 4, 5, sign=1)"]
    assert "plus(0, 1, sign=1)" in told
    assert "plus(3, 4, 0, sign=1)" in told


def test_no_more_calls_are_kept_than_can_be_compared() -> None:
    found = inputs(plus, *((number, number) for number in range(1000)))
    assert sum(call.seen for call in found) == KEPT
    assert len(found) == VARIED


def test_what_a_call_was_given_is_kept_as_it_was_then() -> None:
    def drain(xs: list[int]) -> None:
        xs.clear()

    [first, *_] = inputs(drain, ([1, 2],))
    assert first.arguments == ([1, 2],)


class Account:
    def __init__(self) -> None:
        self.balance = 3

    def take(self, amount: int) -> None:
        self.balance -= amount


def test_a_method_is_called_on_an_object_that_shows_what_it_holds() -> None:
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
    ("function", "told"),
    [
        (raises, "raises KeyError"),
        (ends, "raises SystemExit"),
        (loops, "does not return"),
        (yields, "returns [0, 1, 2]"),
        (waits, "returns 3"),
    ],
)
def test_every_outcome_is_a_text(function: FunctionType, told: str) -> None:
    assert outcome_of(called(function, 3), 0.2) == told


def test_what_cannot_be_copied_is_not_called_again() -> None:
    class Once:
        def __deepcopy__(self, _: object) -> None:
            raise TypeError

    def use(_: object) -> None:
        pass

    assert inputs(use, (Once(),)) == []
