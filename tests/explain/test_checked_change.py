"""The sentence about a change that was checked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.failures import FAILURE, make_fix

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.checked_change import CheckedChange, checked_change
from pytest_starcoder.explain.failure import Cause

CASE = Case(Cause((FAILURE,)))
FIX = make_fix("-    return total / 3\n+    return total / 2")


@pytest.mark.parametrize(
    ("failing", "passing", "lead"),
    [
        ("x = 1", "x = 2", "With `x = 2` instead of `x = 1` the test passes"),
        ("", "x = 2", "With `x = 2` added the test passes"),
        ("x = 1", "", "Without `x = 1` the test passes"),
        ("x = 1", "x = 1", "With `x = 1` where it was before the test passes"),
        ("x = '`'", "x = 2", "With the change at shop.py:7 the test passes"),
        ("x = 1; " * 15, "", "With the change at shop.py:7 the test passes"),
        (
            "return compute_price(customer, orders, discounts, currency=customer.currency) + 1",
            "return compute_price(customer, orders, discounts, currency=customer.currency) - 1",
            "With `… currency) - 1` instead of `… currency) + 1` the test passes",
        ),
        (
            "logger.info(first_value, second_value, third_value, fourth_value, fifth_value, 1)",
            "logger.debug(first_value, second_value, third_value, fourth_value, fifth_value, 1)",
            "With `logger.debug(first_value, …` instead of `logger.info(first_value, …` "
            "the test passes",
        ),
    ],
    ids=["changed", "added", "removed", "moved", "backtick", "long", "end", "beginning"],
)
def test_lead(failing: str, passing: str, lead: str) -> None:
    assert CheckedChange(failing, passing, "shop.py:7").lead == lead


def test_fix() -> None:
    expected = CheckedChange("return total / 3", "return total / 2", "shop.py:11")
    assert checked_change(replace(CASE, fix=FIX)) == expected


def test_broken_by_a_change() -> None:
    pieces = (
        BrokenBy("shop.py", 11, 11, "-    return total / 2\n+    return total / 3"),
        BrokenBy("tax.py", 4, 4, "+RATE = 2"),
    )
    case = replace(CASE, breakage=Breakage(pieces), fix=replace(FIX, path="other.py"))
    expected = CheckedChange("return total / 3 RATE = 2", "return total / 2", "shop.py:11")
    assert checked_change(case) == expected


def test_nothing_checked() -> None:
    assert checked_change(CASE) is None


def test_fix_that_may_be_wrong() -> None:
    unchecked = replace(FIX, checked=False)
    assert checked_change(replace(CASE, fix=unchecked)) is None
    assert checked_change(replace(CASE, fix=replace(unchecked, model="tiny"))) is not None
