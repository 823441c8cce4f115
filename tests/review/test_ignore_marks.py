"""The comment `starcoder: ignore`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.findings import CHANGE, MEAN, remark, shown


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
