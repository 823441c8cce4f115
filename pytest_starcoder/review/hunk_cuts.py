"""Cuts a hunk into parts that a model can be asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_starcoder.review.file_patch import PatchHunk
from pytest_starcoder.source.definitions import Definition

MAX_PART = 2400
"""Characters above which a hunk is asked about in parts."""

MAX_LINE = 1000
"""Characters of the longest line that a model is asked about; longer ones are generated."""


def cut_hunk(hunk: PatchHunk, cuts: Sequence[int]) -> Iterator[PatchHunk]:
    """Yield the non-empty parts of a hunk that begin at the indices `cuts` of its lines."""
    old, new, done = hunk.old, hunk.new, 0
    for end in (*cuts, len(hunk.lines)):
        lines = hunk.lines[done:end]
        if lines:
            yield PatchHunk(old, new, lines, hunk.context)
        # Removed lines do not count after the change, added ones not before it.
        old += sum(not line.startswith("+") for line in lines)
        new += sum(not line.startswith("-") for line in lines)
        done = max(done, end)


def isolate_long_lines(hunk: PatchHunk) -> Iterator[PatchHunk]:
    """Cut a hunk before and after each line that is too long to ask about."""
    cuts = []
    for index, line in enumerate(hunk.lines):
        if len(line) > MAX_LINE:
            cuts += [index, index + 1]
    return cut_hunk(hunk, cuts)


def cut_by_length(hunk: PatchHunk) -> Iterator[PatchHunk]:
    """Cut a hunk into parts of at most MAX_PART characters, at the best boundaries."""
    cuts: list[int] = []
    first = size = 0
    for index, line in enumerate(hunk.lines):
        size += len(line) + 1
        if size > MAX_PART and index > first:
            # Not in the first third, so that parts are not too short.
            shortest = max(1, (index - first) // 3)
            candidates = range(first + shortest, index + 1)
            first = max(candidates, key=lambda at: (_rate_boundary(hunk.lines, at), at))
            cuts.append(first)
            # The cut may be well above this line.
            begun = hunk.lines[first : index + 1]
            size = sum(len(text) + 1 for text in begun)
    return cut_hunk(hunk, cuts)


def _rate_boundary(lines: Sequence[str], index: int) -> int:
    """Rate a cut before a line: 2 before a definition at the left margin, 1 after a blank line."""
    text = lines[index][1:]
    previous = lines[index - 1][1:]
    if previous.strip() or not text.strip():
        return 0
    return 1 if text[0].isspace() else 2


def trim_to_definition(hunk: PatchHunk, definition: Definition) -> PatchHunk:
    """Remove the unchanged lines at both ends that do not belong to the definition.

    They may change or move without it, which would make the cached answer useless.
    """

    # An unchanged line has as many signs before as after, so both starts move by `first`.
    numbers = [number for number, _ in hunk.numbered()]
    first, end = 0, len(hunk.lines)
    while first < end and hunk.lines[first].startswith(" ") and numbers[first] < definition.first:
        first += 1
    while (
        end > first and hunk.lines[end - 1].startswith(" ") and numbers[end - 1] > definition.last
    ):
        end -= 1
    return PatchHunk(hunk.old + first, hunk.new + first, hunk.lines[first:end], hunk.context)
