"""Differences of two numbers or dates."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from pytest_starcoder.explain.differences import differences


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        (3, 2, ["the value is too large by 1"]),
        (1, 4, ["the value is too small by 3"]),
        (3.0, 2, ["the value is too large by 1"]),
        (-5, 5, ["the value has the opposite sign"]),
        (30, 3, ["the value is too large by 27", "the value is 10 times the expected one"]),
        (0.25, 25, ["the value is too small by 24.75", "the value is 0.01 times the expected one"]),
        (8, 4, ["the value is too large by 4", "the value is 2 times the expected one"]),
        (3.14159, 3.14, ["the value is too large by 0.00159", "rounded to 2 digits it is equal"]),
        (2.6, 3, ["the value is too small by 0.4", "rounded it is equal"]),
        (0.1 + 0.2, 0.3, ["they differ by 5.6e-17, a rounding error: compare with pytest.approx"]),
        (
            Decimal("0.1"),
            0.1,
            ["they differ by 5.6e-18, a rounding error: compare with pytest.approx"],
        ),
        (math.nan, 1.0, ["NaN equals nothing, not even itself"]),
        (math.nan, math.nan, ["NaN equals nothing, not even itself"]),
        (math.inf, 1, ["the value is infinite"]),
        (1, -math.inf, ["the value is not infinite"]),
        pytest.param(10**5000, 1, ["the value is too large by about 10^5000"], id="huge"),
        (1.5, 10**400, ["the value is too small by about 10^400"]),
        (3.0, pytest.approx(4), ["the value is too small by 1"]),
        ([1.0, 2.0000000001, 5.0], pytest.approx([1.0, 2.0, 3.0]), ["[2] is 5.0, not 3.0"]),
        (True, 3, ["the value is a boolean, not a number"]),
        (date(2024, 1, 2), date(2024, 1, 1), ["the value is 1 day, 0:00:00 too late"]),
        (
            timedelta(minutes=90),
            timedelta(hours=1),
            ["the duration is too long by 0:30:00"],
        ),
        (
            datetime(2024, 1, 1),
            datetime(2024, 1, 1, tzinfo=UTC),
            ["only the expected value has a time zone"],
        ),
    ],
)
def test_numbers_and_dates(actual: object, expected: object, sentences: list[str]) -> None:
    assert list(differences("==", actual, expected)) == sentences
