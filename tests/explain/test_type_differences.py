"""Values of another type than expected."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath
from unittest.mock import Mock

import pytest

from pytest_starcoder.explain.differences import differences


class Plain:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        (None, 3, ["the value is None: nothing was returned?"]),
        (3, None, ["the value is a number, not None"]),
        ("3", 3, ["the value is a string, not a number", "as strings, they are equal"]),
        (3, "3", ["the value is a number, not a string"]),
        (b"ab", "ab", ["the value is bytes, not a string", "decoded as UTF-8, they are equal"]),
        (PurePosixPath("a"), "a", ["the value is a PurePosixPath, not a string"]),
        (Colour.RED, "red", ["the value is a member of Colour: its .value would be equal"]),
        (Plain(), {"a": 1}, ["the value is a Plain, not a dict"]),
        (len, 3, ["the value is the function itself: was it called?"]),
        (Plain, 3, ["the value is the class Plain itself: was it called?"]),
        (Mock(), 3, ["the value is a mock: was its return_value set?"]),
        ((n for n in (1, 2)), [1, 2], ["the value is a generator: was it iterated?"]),
        (map(int, []), [], ["the value is a map: was it iterated?"]),
        (range(2), [0, 1], ["the value is a range, not a list"]),
    ],
)
def test_types(actual: object, expected: object, sentences: list[str]) -> None:
    assert list(differences("==", actual, expected))[: len(sentences)] == sentences


def test_coroutine() -> None:
    result = coroutine()
    assert differences("==", result, 3) == ("the value is a coroutine: was it awaited?",)
    result.close()
