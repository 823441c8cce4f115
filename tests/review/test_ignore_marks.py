"""The comment `starcoder: ignore`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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


def test_long_line_can_be_ignored() -> None:
    long = replace(MEAN, lines=(f"+x = 1  # starcoder: ignore {'y' * 1001}",), added=(5,))
    finding = replace(remark(5), source=long.lines[0][1:])
    review = shown(
        [],
        [replace(finding, rule="identity")],
        change=replace(CHANGE, hunks=(), unasked=(long,), texts={}),
    )
    assert (review.findings, review.ignored) == ((), 1)


@pytest.mark.parametrize("mark", ["#", "//", "/*", "--", ";", "%", "<!--", "(*", "{-", '"'])
def test_mark_in_any_comment(mark: str) -> None:
    review = shown([replace(remark(6), source=f"x = 1  {mark} starcoder: ignore")])
    assert (review.findings, review.ignored, review.failed) == ((), 1, False)


def test_mark_on_own_line() -> None:
    marked = replace(
        MEAN, lines=("+    # starcoder: ignore", "+    return 1", "+    return 2"), added=(4, 5, 6)
    )
    review = shown(
        [remark(5), remark(6, message="x")], change=replace(CHANGE, hunks=(marked,), texts={})
    )
    assert [finding.line for finding in review.findings] == [6]


def test_mark_behind_code_above() -> None:
    marked = replace(MEAN, lines=("+    x = 1  # starcoder: ignore", "+    return 1"), added=(4, 5))
    assert len(shown([remark(5)], change=replace(CHANGE, hunks=(marked,), texts={})).findings) == 1
