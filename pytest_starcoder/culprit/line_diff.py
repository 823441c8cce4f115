"""Compares two lists of lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import pairwise

MIN_LONG = 400
"""Number of lines in both lists from which they are compared by few differences first."""

MAX_DIFFLIB_LINES = 6_000
"""Maximum number of lines in both lists for difflib: its time is quadratic if many are equal."""

MAX_DIFFERENCES = 400
"""Maximum number of differences that are few."""

Opcode = tuple[bool, int, int, int, int]
"""Whether lines are equal, and their ranges in the old and in the new list."""

_Block = tuple[int, int, int]
"""The place of equal lines in both lists, and their number."""


def opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[Opcode]:
    """Yield the equal and the different ranges in turn, which together are all lines."""
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    blocks = [(0, 0, head)]
    middle = _blocks(old[head : len(old) - tail], new[head : len(new) - tail])
    blocks += ((old_start + head, new_start + head, size) for old_start, new_start, size in middle)
    blocks.append((len(old) - tail, len(new) - tail, tail))
    yield from _between(blocks)


def _between(blocks: Sequence[_Block]) -> Iterator[Opcode]:
    """Yield the blocks that have lines, and what is between them."""
    for block, following in pairwise([(0, 0, 0), *blocks]):
        old_end, new_end = block[0] + block[2], block[1] + block[2]
        old_start, new_start, size = following
        if old_start > old_end or new_start > new_end:
            yield False, old_end, old_start, new_end, new_start
        if size:
            yield True, old_start, old_start + size, new_start, new_start + size


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[_Block]:
    if not old or not new:
        return []
    size = len(old) + len(new)
    blocks = _blocks_of_similar(old, new) if size >= MIN_LONG else None
    if blocks is not None:
        return blocks
    if size > MAX_DIFFLIB_LINES:
        return []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(block.a, block.b, block.size) for block in matcher.get_matching_blocks()]


def _blocks_of_similar(old: Sequence[str], new: Sequence[str]) -> list[_Block] | None:
    """Return the equal blocks of lists with few differences, and None for others.

    The algorithm is the greedy one of Myers (1986). Diagonals are numbered by the lead of the
    old list, and `furthest` is the end of the longest path on each of them.
    """
    furthest = {1: 0}
    rounds: list[dict[int, int]] = []
    for differences in range(MAX_DIFFERENCES + 1):
        rounds.append(dict(furthest))
        for diagonal in range(-differences, differences + 1, 2):
            end, _ = _enter(furthest, diagonal, differences)
            while end < len(old) and end - diagonal < len(new) and old[end] == new[end - diagonal]:
                end += 1
            furthest[diagonal] = end
            if end >= len(old) and end - diagonal >= len(new):
                return _path(rounds, len(old), len(new))
    return None


def _enter(furthest: dict[int, int], diagonal: int, differences: int) -> tuple[int, int]:
    """Return where the longest path enters a diagonal, and the diagonal that it comes from."""
    above, below = furthest.get(diagonal + 1, -1), furthest.get(diagonal - 1, -1)
    if diagonal == -differences or (diagonal != differences and below < above):
        return above, diagonal + 1  # a line was added
    return below + 1, diagonal - 1  # a line was removed


def _path(rounds: Sequence[dict[int, int]], old_end: int, new_end: int) -> list[_Block]:
    """Return the equal blocks of the path that ends at the end of both lists."""
    blocks: list[_Block] = []
    for differences in range(len(rounds) - 1, -1, -1):
        furthest, diagonal = rounds[differences], old_end - new_end
        start, previous = _enter(furthest, diagonal, differences)
        if old_end > start:
            blocks.append((start, start - diagonal, old_end - start))
        old_end = furthest.get(previous, 0)
        new_end = old_end - previous
    return blocks[::-1]
