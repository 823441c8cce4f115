"""Marks of what an answer names and was not shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.grounding import NOT_SEEN, SUGGESTED, Evidence, Grounding

EVIDENCE = Evidence(
    """
    shop/pricing.py:
    def mean(xs):
        return sum(xs) / (len(xs) - 1)

    class Order:
        def total(self, currency="EUR"):
            return self.items[0] * RATES[currency]

    Test: tests/test_shop.py::test_mean fails with AssertionError
    assert mean([1, 2, 3]) == 2
    Seen: mean([1, 2, 3]) returned 3.0, the test expects 2
    """,
    {"shop/pricing.py": range(28, 36), "tests/test_shop.py": range(14, 17)},
)


def ground(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with its marks, and what was not in the evidence."""
    grounding = Grounding(EVIDENCE)
    marked = grounding.add(text) + grounding.end()
    return marked, tuple(grounding.unsupported)


FOREIGN = "billing.py compute_total Invoice.total tax_rate frobnicate 999 4242".split()


@pytest.mark.parametrize(
    "text",
    [
        "see billing.py:12 for it",
        "in shop/billing.py, line 999, we",
        "It is `billing.py`.",
        "(`compute_total`) fails",
        "compute_total() fails",
        "**compute_total** is wrong",
        "'compute_total' is wrong",
        '"billing.py" is wrong',
        "[billing.py](billing.py)",
        "The function frobnicate is wrong",
        "a method named 'frobnicate'",
        "the frobnicate() call",
        "`frobnicate(x)` is wrong",
        "Invoice.total forgets it",
        "`Invoice.total` forgets it",
        "tax_rate is text",
        "on line 999.",
        "lines 999-4242",
        "(line 999)",
        "at pricing.py:999",
        "pricing.py, line 999",
        "tests/test_shop.py::test_compute_total",
        'File "billing.py", line 999, in frobnicate()',
        "L999 is wrong",
        '{"cause": "compute_total is wrong"}',
        "```python\nfrobnicate(tax_rate)\n```",
    ],
)
def test_foreign_names(text: str) -> None:
    marked, unsupported = ground(text)
    assert unsupported
    for name in FOREIGN:
        for before in range(len(marked)):
            if marked.startswith(name, before) and not marked[:before].endswith(("(", "_")):
                assert NOT_SEEN.strip() in marked[before : before + 90], marked


@pytest.mark.parametrize(
    "text",
    [
        "The divisor is one less than the number of values.",
        "`mean` divides by `len(xs) - 1` on line 30.",
        "The function mean divides the sum by one too few.",
        "In shop/pricing.py, line 30, the divisor is wrong.",
        "pricing.py:30 subtracts 1.",
        "Order.total uses the currency, and self.items[0] is a text.",
        "A ValueError or a TypeError is raised by int() or len(xs).",
        "the class Order is fine, its method total is not",
        "e.g. this, i.e. that, in version 3.11.2 and so on.",
        "the function returns None, and the variable is not set",
        "tests/test_shop.py::test_mean expects 2",
        "lines 30 and 31 are wrong",
        "It's what `return sum(xs) / (len(xs) - 1)` says.",
        "The test isn't wrong; it's the code that doesn't add up.",
        "the function adds and divides them",
    ],
)
def test_shown_names(text: str) -> None:
    assert ground(text) == (text, ())


def test_suggestion() -> None:
    assert (
        ground("use `sum(xs) / len(xs)` instead")[0]
        == f"use `sum(xs) / len(xs)`{SUGGESTED} instead"
    )


def test_unsupported() -> None:
    _, unsupported = ground("billing.py calls zap_it; zap_it is in billing.py")
    assert unsupported == ("billing.py", "zap_it")


LONG = (
    "In billing.py, line 999, `a b` and the function called 'zap' of ```\nx = 1\n``` "
    "lines 3 and 4: Invoice.total() it."
)


@given(
    st.one_of(st.just(LONG), st.text(max_size=200)),
    st.lists(st.integers(1, 9), min_size=1, max_size=200),
)
def test_division(text: str, sizes: list[int]) -> None:
    grounding, out, at = Grounding(EVIDENCE), "", 0
    for size in [*sizes, *[7] * (len(text) // 7 + 1)]:
        out += grounding.add(text[at : at + size])
        at += size
    assert out + grounding.end() == ground(text)[0]


def test_bounded_delay() -> None:
    grounding = Grounding(EVIDENCE)
    out = "".join(grounding.add(piece) for piece in ["`never closed ", *["word "] * 200])
    assert len(out) > 500


@given(st.text())
def test_nothing_is_removed(text: str) -> None:
    marked, _ = ground(text)
    assert marked.replace(NOT_SEEN, "").replace(SUGGESTED, "") == text.replace(
        NOT_SEEN, ""
    ).replace(SUGGESTED, "")
