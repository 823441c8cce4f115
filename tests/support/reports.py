"""A sample report in which each text names its own field."""

from __future__ import annotations

from pytest_starcoder.explain.explanation import Explanation, Report, Suspect
from pytest_starcoder.explain.failure import Frame

EXPLANATION = Explanation(
    "SEENTEXT",
    why="GUESSTEXT names billing.py (not in the evidence)",
    model="tiny:1b",
    exception="AssertionError",
    phase="call",
    path="shop/pricing.py",
    line=14,
    function="mean",
    nodeids=("tests/test_shop.py::TestShop::test_mean[1-a b]", "tests/test_shop.py::test_other"),
    facts=("FACTTEXT",),
    frames=(Frame("shop/pricing.py", 14, "mean", 13, "def mean(xs):\n    return sum(xs)"),),
    suspects=(
        Suspect("shop/pricing.py", 14, "SUSPECTTEXT", 0.5, ("changed 2 days ago, 1f3c9ab",)),
    ),
    replay=("REPLAYTEXT",),
    extra=("EXTRATEXT",),
    unsupported=("billing.py",),
)

REPORT = Report(
    (EXPLANATION,), failures=2, model="tiny:1b", server="Ollama", calls=1, rerun=3, seconds=1.23456
)

EMPTY = Report((), 0)
