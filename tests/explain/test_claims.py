"""Claims that can be refuted, and true sentences that must pass."""

from __future__ import annotations

import time

import pytest

from pytest_starcoder.explain.claims import MAX_WORDS, find_objection
from pytest_starcoder.explain.grounding import Evidence

EVIDENCE = Evidence(
    """\
shop.py:
def is_on(flag):
    return bool(flag)
def mean(prices):
    return sum(prices) / (len(prices) - 1)
def label(maybe, day="2024-11-30"):
    return round(2.5) + 10 % 4 + maybe
def name(first='Ann', last=''):
    return first + " " + last

Test: tests/test_shop.py::test_mean fails with AssertionError at line 2
assert is_on('off') is False
Seen: mean([1, 2, 3]) returned 3.0, the test expects 2
""",
    {"shop.py": range(1, 20), "tests/test_shop.py": range(1, 5)},
)


def objection(sentence: str) -> str:
    return find_objection(sentence, EVIDENCE)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("`bool('off')` returns False", "says that bool('off') is False"),
        ("`bool('off')` evaluates to the value False", "says that bool('off') is False"),
        ("`len([1, 2, 3]) - 1` is 3", "says that len([1, 2, 3]) - 1 is 3"),
        ("`round(2.5)` gives `3`", "says that round(2.5) is 3"),
        ("10 % 4 = 3", "says that 10 % 4 is 3"),
        ("`3 - 1` equals 1", "says that 3 - 1 is 1"),
        ("`int('off')` returns 1", "says that int('off') is 1"),
        ("the sum is 17", "mentions 17, which was not seen"),
        ("the first name is 'Bob'", "mentions 'Bob', which was not seen"),
        ('the last name is "Smith"', 'mentions "Smith", which was not seen'),
        ("`median` is called", "mentions median, which was not shown"),
        ("line 99 is wrong", "mentions 99, which was not seen"),
        ("it is defined in billing.py", "mentions billing.py, which was not shown"),
        ("the divisor is likely too small", "is a guess by its own words"),
        ("it Probably rounds", "is a guess by its own words"),
        ("so " * (MAX_WORDS + 1), "is too long"),
    ],
)
def test_objection(sentence: str, expected: str) -> None:
    assert objection(sentence) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "`bool('off')` returns True",
        'any text that is not empty, such as "off", is true',
        "`bool(flag)` is True for every flag but ''",
        "the sum of [1, 2, 3] is divided by `len(prices) - 1` instead of `len(prices)`",
        "`mean([1, 2, 3])` returns 3.0 instead of 2",
        "the test expects 2.0",
        "`3` is 1 too large",
        "`3` is 1 less than expected",
        "`2` is 1 off",
        "`round(2.5)` is 2, because halves are rounded to the even number",
        "10 % 4 is 2",
        "3 - 1 = 2",
        "2024-11-30 is 2 days too early",
        "`maybe` is added to the rest",
        "the customers' names don't end with ''",
        "the 1st price and the 2nd one are added",
        "`len(prices) - 1` is 2",
        "`mean` is called at line 2 of tests/test_shop.py",
    ],
)
def test_no_objection(sentence: str) -> None:
    assert objection(sentence) == ""


@pytest.mark.parametrize(
    "expression",
    [
        "'a' * 999999 * 999999",
        "[0] * 999999 * 999999",
        "str(1) * 999999 * 999999",
        "'%999999999d' % 1",
        "9 ** 9 ** 9",
        "1 << 999999",
        "round(1, -999999999)",
        "(" * 3000 + "1" + ")" * 3000,
        "__import__('os').abort()",
        "max(open('x'))",
    ],
)
def test_nothing_costly_is_computed(expression: str) -> None:
    started = time.process_time()
    objection(f"`{expression}` is 2")
    assert time.process_time() - started < 0.5
