"""A small change, and findings and reviews of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_starcoder.review.change import Change, Hunk
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.model_review import ModelReview
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.reviewer import compose_review
from pytest_starcoder.settings import Settings

LINES = (" def mean(xs):", "-    return 0", "+    n = len(xs)", "+    return sum(xs) / n")


MEAN = Hunk("shop.py", LINES, 4, 4, (5, 6), 0, "mean", "def mean(xs):\n    return 0")


CHANGE = Change(
    "what is staged",
    (MEAN,),
    files=1,
    texts={"shop.py": "\n\n\ndef mean(xs):\n    n = len(xs)\n    return sum(xs) / n"},
)


SETTINGS = Settings()


def shown(
    findings: list[Finding],
    observed: list[Finding] | None = None,
    change: Change = CHANGE,
    **options: Any,
) -> Review:
    remarks = ModelReview()
    remarks.findings, remarks.reviewed = findings, {0}
    accepted = options.pop("accepted", ())
    source = ReviewInput(
        change, replace(SETTINGS, **options), tuple(observed or ()), frozenset(accepted)
    )
    return compose_review(source, remarks)


def remark(
    line: int = 6,
    severity: Severity = Severity.WARNING,
    message: str = "Wrong.",
    path: str = "shop.py",
) -> Finding:
    return Finding(
        path, line, severity, message, model="m", source=f"line {line}", definition="mean"
    )


A, B, C = "a" * 40, "b" * 40, "c" * 40


FINDING = Finding(
    "shop.py",
    6,
    Severity.ERROR,
    "Divides by zero.",
    source="return sum(xs) / len(xs)",
    definition="mean",
    model="m",
)


CLEAN = Review("a title", total=1, reviewed=1, files=1, model="m", server="Ollama")


FOUND = Review("a title", (FINDING,), total=1, reviewed=1, files=1, model="m", server="Ollama")
