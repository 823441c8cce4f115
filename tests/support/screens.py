"""Small broken projects, and what of pytest's screen the tests compare."""

from __future__ import annotations

import re

import pytest

MEAN = {
    "pricing": """
        def mean(xs):
            return sum(xs) / (len(xs) - 1)
    """,
    "test_pricing": """
        from pricing import mean

        def test_mean():
            assert mean([1, 2, 3]) == 2
    """,
}
"""One failure; the faulty function is not on its traceback."""

TWO_CAUSES = """
    RATES = {"EUR": "1.0"}

    def pay(amount):
        return amount + RATES["EUR"]

    def test_one():
        assert pay(1) == 1

    def test_two():
        assert pay(2) == 2

    def test_three():
        assert [] == [1]
"""
"""Three failures, the first two on one line of the code under test."""


def section(result: pytest.RunResult) -> list[str]:
    """The lines of our section, times replaced, without pytest's own that follow."""
    lines = [untimed(line) for line in result.outlines]
    starts = [number for number, line in enumerate(lines) if " StarCoder: " in line]
    if not starts:
        return []
    body = lines[starts[0] + 1 :]
    end = next(
        (number for number, line in enumerate(body) if re.match(r"[=!]{3,}", line)), len(body)
    )
    return [lines[starts[0]].strip("= "), *body[:end]]


def summary(result: pytest.RunResult) -> list[str]:
    """pytest's short summary and its last line, times replaced."""
    lines = [
        untimed(line).strip("= ") for line in result.outlines if not line.startswith("StarCoder: ")
    ]
    return (
        lines[lines.index("short test summary info") :]
        if "short test summary info" in lines
        else lines[-1:]
    )


def untimed(line: str) -> str:
    """A line without what differs from run to run: times, and the addresses of objects."""
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r"\d+\.\d+ ?s\b", "N s", line))
