"""Describes by how much two numbers or dates differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pytest_starcoder.explain.equality import Pair
from pytest_starcoder.text.display import counted

MAX_FACTORED = 2**60
"""Upper limit of numbers whose factor is computed: larger quotients may not fit in a float."""

NAN = "NaN equals nothing, not even itself"

UNIT_FACTORS = (10, 100, 1000, 0.1, 0.01, 0.001)
"""Factors that hint at a wrong unit."""


def compare_numbers(pair: Pair) -> Iterator[str]:
    """Yield sentences on two numbers."""
    actual, expected = pair.actual, pair.expected
    if actual != actual or expected != expected:  # math.isnan fails on large integers
        yield f"{pair.at}{NAN}"
    elif _is_infinite(actual) or _is_infinite(expected):
        # In a container, both numbers were already shown.
        if not pair.place:
            state = "infinite" if _is_infinite(actual) else "not infinite"
            yield f"the value is {state}"
    else:
        # As fractions, even numbers that no float can hold are subtracted exactly.
        difference = Fraction(actual) - Fraction(expected)
        yield from _compare_finite(pair, difference)


def _compare_finite(pair: Pair, difference: Fraction) -> Iterator[str]:
    actual, expected = pair.actual, pair.expected
    amount = abs(difference)
    if pair.comparer.tolerance is None and _is_rounding(amount, actual, expected):
        error = f"they differ by {float(amount):.2g}, a rounding error"
        yield f"{pair.at}{error}: compare with pytest.approx"
    elif pair.place or not difference:
        return  # both were already shown in full
    elif actual == -expected:
        yield "the value has the opposite sign"
    else:
        size = "large" if difference > 0 else "small"
        yield f"the value is too {size} by {_amount(amount)}"
        yield from _relation(actual, expected)


def _is_infinite(number: Any) -> bool:
    # math.isinf converts to float, and raises OverflowError for a large int.
    return type(number) in (float, Decimal) and math.isinf(number)


def _is_rounding(amount: Fraction, actual: Any, expected: Any) -> bool:
    if type(actual) is type(expected) is int:
        return False
    relative = abs(Fraction(expected)) / 10**9
    absolute = Fraction(1, 10**12)
    return 0 < amount <= max(relative, absolute)


def _amount(number: Fraction) -> str:
    bits = number.numerator.bit_length()
    if bits > 300:  # may not fit in a float
        magnitude = bits - number.denominator.bit_length()
        exponent = round(magnitude * math.log10(2))
        return f"about 10^{exponent}"
    if number.denominator == 1:
        return str(number)
    return f"{float(number):.6g}"


def _relation(actual: Any, expected: Any) -> Iterator[str]:
    """Yield a sentence if rounding or a round factor turns the actual number into the expected."""
    digits = _decimals(expected)
    can_round = type(expected) in (int, float) and type(actual) is float
    if can_round and round(actual, digits) == expected:
        places = f" to {counted(digits, 'digit')}" if digits else ""
        yield f"rounded{places} it is equal"
    elif expected and max(abs(expected), abs(actual)) < MAX_FACTORED:
        quotient = Fraction(actual) / Fraction(expected)
        factor = round(float(quotient), 9)
        # Small numbers are often twice or half of each other by chance.
        is_double = abs(expected) > 2 and factor in (2, 0.5)
        if is_double or abs(factor) in UNIT_FACTORS:
            yield f"the value is {factor:g} times the expected one"


def _decimals(number: Any) -> int:
    """Return the number of decimal places of a float; 0 in scientific notation."""
    text = repr(number)
    if type(number) is not float or "e" in text:
        return 0
    return len(text.partition(".")[2])


def compare_dates(pair: Pair) -> Iterator[str]:
    """Yield sentences on two dates, times or durations."""
    actual, expected = pair.actual, pair.expected
    kind = type(actual)
    if kind is not type(expected):
        return
    if kind is timedelta and not pair.place:
        size = "long" if actual > expected else "short"
        yield f"the duration is too {size} by {abs(actual - expected)}"
    if kind not in (date, datetime):
        return
    is_naive = kind is datetime and actual.tzinfo is None
    is_expected_naive = kind is datetime and expected.tzinfo is None
    # Comparing a naive datetime with an aware one raises TypeError.
    if is_naive != is_expected_naive:
        aware = "expected value" if is_naive else "value"
        yield f"{pair.at}only the {aware} has a time zone"
    elif actual != expected:
        direction = "late" if actual > expected else "early"
        amount = abs(actual - expected)
        yield f"{pair.name} is {amount} too {direction}"
