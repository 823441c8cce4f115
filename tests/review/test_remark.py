"""A model's remark: its severity, and reading it from an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_starcoder.review.finding import Severity
from pytest_starcoder.review.remark import parse_remarks, rate_severity

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
entries = st.dictionaries(st.sampled_from(["line", "message", "severity"]), scalars) | scalars
answers = st.text() | st.lists(entries, max_size=4).map(json.dumps)


@given(answers)
@settings(max_examples=50)
def test_remarks_are_on_added_lines(answer: str) -> None:
    assert all(line in (5, 6) for line, *_ in parse_remarks(answer, (5, 6)) or ())


@pytest.mark.parametrize(
    ("message", "severity"),
    [
        ("An empty list divides by zero.", Severity.ERROR),
        ("This raises IndexError.", Severity.ERROR),
        ("The result is wrong.", Severity.WARNING),
        ("Maybe rename this.", Severity.INFO),
        ("nit: a typo", Severity.INFO),
    ],
)
def test_severity(message: str, severity: Severity) -> None:
    assert rate_severity(message) is severity
