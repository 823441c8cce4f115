"""Edits applied together, and paired."""

from __future__ import annotations

import pytest

from pytest_starcoder.source.edits.edit import Edit, apply_edits, pair_edits


def edit(start: int, end: int, before: str, after: str, cost: float = 1.0) -> Edit:
    return Edit("x", (start, end), before, after, "", cost, 1)


def test_apply_edits() -> None:
    edits = [edit(10, 11, "2", "20"), edit(4, 5, "1", "10")]
    assert apply_edits("a = 1\nb = 2\n", edits) == "a = 10\nb = 20\n"


@pytest.mark.parametrize(
    "edits",
    [
        [edit(0, 3, "abc", ""), edit(2, 4, "cd", "")],
        [edit(1, 1, "", "x"), edit(1, 1, "", "y")],
    ],
    ids=["overlap", "same-insertion"],
)
def test_overlapping_edits(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="the edits overlap"):
        apply_edits("abcd", edits)


def test_cheapest_pairs_first() -> None:
    edits = [edit(start, start + 1, "", "y", float(start)) for start in range(0, 12, 2)]
    costs = [first.cost + second.cost for first, second in pair_edits(edits, 100)]
    assert len(costs) == 15
    assert costs[:3] == sorted(costs[:3])
    assert len(list(pair_edits(edits, 4))) == 4


def test_pairs_never_overlap() -> None:
    assert list(pair_edits([edit(0, 2, "", "y"), edit(1, 3, "", "z")], 10)) == []
