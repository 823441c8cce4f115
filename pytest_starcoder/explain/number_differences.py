"""Describes by how much two numbers or dates differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pytest_starcoder.explain.equality import Pair
from pytest_starcoder.text.display import counted

MAX_FACTORED = 2**60
"""Number from which on no factor is computed: the quotient might not fit in a float."""

NAN = "NaN equals nothing, not even itself"

TELLING_FACTORS = (10, 100, 1000, 0.1, 0.01, 0.001)
"""Factors that hint at a wrong unit."""


def compare_numbers(pair: Pair) -> Iterator[str]:
    """Yield sentences on two numbers."""
    actual, expected = pair.actual, pair.expected
    if actual != actual or expected != expected:  # math.isnan fails on large integers
        yield f"{pair.at}{NAN}"
    elif _is_infinite(actual) or _is_infinite(expected):
        if not pair.place:
            yield f"the value is {'' if _is_infinite(actual) else 'not '}infinite"
    else:
        yield from _compare_finite(pair, Fraction(actual) - Fraction(expected))


def _compare_finite(pair: Pair, difference: Fraction) -> Iterator[str]:
    actual, expected, amount = pair.actual, pair.expected, abs(difference)
    if pair.comparer.tolerance is None and _is_rounding(amount, actual, expected):
        size = f"{float(amount):.2g}"
        yield f"{pair.at}they differ by {size}, a rounding error: compare with pytest.approx"
    elif pair.place or not difference:
        return  # both were shown in full
    elif actual == -expected:
        yield "the value has the opposite sign"
    else:
        size = "large" if difference > 0 else "small"
        yield f"the value is too {size} by {_amount(amount)}"
        yield from _relation(actual, expected)


def _is_infinite(number: Any) -> bool:
    # math.isinf converts to a float, which a large int does not fit in.
    return type(number) in (float, Decimal) and math.isinf(number)


def _is_rounding(amount: Fraction, actual: Any, expected: Any) -> bool:
    if type(actual) is type(expected) is int:
        return False
    relative = abs(Fraction(expected)) / 10**9
    absolute = Fraction(1, 10**12)
    return 0 < amount <= max(relative, absolute)


def _amount(number: Fraction) -> str:
    bits = number.numerator.bit_length()
    if bits > 300:  # too large for a float
        exponent = round((bits - number.denominator.bit_length()) * math.log10(2))
        return f"about 10^{exponent}"
    return str(number) if number.denominator == 1 else f"{float(number):.6g}"


def _relation(actual: Any, expected: Any) -> Iterator[str]:
    """Yield how a wrong number becomes the right one: by rounding it, or by a factor."""
    digits = _decimals(expected)
    is_rounded = type(expected) in (int, float) and type(actual) is float
    if is_rounded and round(actual, digits) == expected:
        places = f" to {counted(digits, 'digit')}" if digits else ""
        yield f"rounded{places} it is equal"
    elif expected and max(abs(expected), abs(actual)) < MAX_FACTORED:
        factor = round(float(Fraction(actual) / Fraction(expected)), 9)
        # Of small numbers, one is often twice the other by chance.
        is_double = abs(expected) > 2 and factor in (2, 0.5)
        if is_double or abs(factor) in TELLING_FACTORS:
            yield f"the value is {factor:g} times the expected one"


def _decimals(number: Any) -> int:
    """Return the number of decimal places with which a float was written."""
    text = repr(number)
    if type(number) is not float or "e" in text:
        return 0
    return len(text.partition(".")[2])


def compare_dates(pair: Pair) -> Iterator[str]:
    """Yield sentences on two dates or times."""
    actual, expected = pair.actual, pair.expected
    kind = type(actual)
    if kind is not type(expected) or kind not in (date, datetime):
        return
    is_naive = kind is datetime and actual.tzinfo is None
    if is_naive != (kind is datetime and expected.tzinfo is None):
        aware = "expected value" if is_naive else "value"
        yield f"{pair.at}only the {aware} has a time zone"
    elif actual != expected:
        direction = "late" if actual > expected else "early"
        amount = abs(actual - expected)
        yield f"{pair.name} is {amount} too {direction}"
