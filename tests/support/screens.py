"""Small broken projects, and the parts of pytest's output that tests compare."""

from __future__ import annotations

import itertools
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
    """Return the lines of our section with neutral times."""
    lines = [untimed(line) for line in result.outlines]
    starts = [number for number, line in enumerate(lines) if " StarCoder: " in line]
    if not starts:
        return []
    body = lines[starts[0] + 1 :]
    ours = itertools.takewhile(lambda line: not re.match(r"[=!]{3,}", line), body)
    return [lines[starts[0]].strip("= "), *ours]


def summary(result: pytest.RunResult) -> list[str]:
    """Return pytest's short summary, or else its last line, with neutral times."""
    lines = []
    for line in result.outlines:
        if not line.startswith("StarCoder: "):
            lines.append(untimed(line).strip("= "))
    heading = "short test summary info"
    return lines[lines.index(heading) :] if heading in lines else lines[-1:]


def untimed(line: str) -> str:
    """Replace times and addresses of objects, which differ from run to run."""
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r"\d+\.\d+ ?s\b", "N s", line))
