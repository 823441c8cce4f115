"""A change of one file's text, and how several are applied or combined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class Edit:
    """A change of one file's text: the characters in `span`, which are `before`, become `after`.

    `line` (1-based) is where it begins. Edits with a lower `cost` are tried earlier.
    """

    path: str
    span: tuple[int, int]
    before: str
    after: str
    kind: str
    cost: float
    line: int


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    """Return `source` with all edits applied. Raises ValueError if two of them overlap."""
    applied_from = len(source) + 1
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        start, end = edit.span
        if end > applied_from or start == end == applied_from:
            raise ValueError("the edits overlap")
        source = source[:start] + edit.after + source[end:]
        applied_from = start
    return source


def pair_edits(edits: Sequence[Edit], limit: int) -> Iterator[tuple[Edit, Edit]]:
    """Yield up to `limit` pairs of edits that do not overlap, cheap ones first.

    `edits` are sorted by cost.
    """
    yield from islice(_separate_pairs(edits), limit)


def _separate_pairs(edits: Sequence[Edit]) -> Iterator[tuple[Edit, Edit]]:
    # Along the diagonals: a small sum of the two indices stands for a small sum of the costs.
    for index_sum in range(1, 2 * len(edits) - 2):
        start = max(0, index_sum - len(edits) + 1)
        for index in range(start, (index_sum + 1) // 2):
            first = edits[index]
            second = edits[index_sum - index]
            if first.path != second.path or not _touch(first.span, second.span):
                yield first, second


def _touch(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[1] >= second[0] and second[1] >= first[0]
