"""Finds the commit that made a piece of a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_starcoder.culprit.pieces import ChangedText, Kind, Piece
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.git.file_changes import FileChange

Passes = Callable[[tuple[str, ...]], bool]
"""Whether the test passes if these lines take the place of a piece."""


@dataclass(frozen=True)
class Region:
    """The lines of a piece in one version of its file: from `start` up to `end`, from 0."""

    start: int
    end: int


@dataclass(frozen=True)
class Step:
    """A commit that changed the lines of a piece, and those lines before it."""

    commit: str
    before: tuple[str, ...]


def steps_of(
    changes: Sequence[FileChange], kind: Kind, region: Region, removed: Sequence[str]
) -> list[Step]:
    """Return the changes that made a piece, the newest first, out of those of its file.

    `region` are the lines of the piece now, and `removed` are those that they took the place of.
    """
    for is_strict in (True, False):
        steps = _Tracking(kind, region, removed, is_strict=is_strict).steps(changes)
        if steps:
            return steps
    return []


def choose(steps: Sequence[Step], passes: Passes) -> Step:
    """Return the step since which the test fails, given that it passes before the oldest.

    The number of trials is logarithmic.
    """
    newest_passing, oldest_failing = len(steps) - 1, -1
    while newest_passing - oldest_failing > 1:
        middle = (newest_passing + oldest_failing) // 2
        if passes(steps[middle].before):
            newest_passing = middle
        else:
            oldest_failing = middle
    return steps[newest_passing]


class _Tracking:
    """Follows the lines of a piece back through the versions of its file."""

    def __init__(
        self, kind: Kind, region: Region, removed: Sequence[str], *, is_strict: bool
    ) -> None:
        self._kind = kind
        self._region = region
        self._removed = {line.strip() for line in removed} - {""}
        self._is_strict = is_strict

    def steps(self, changes: Sequence[FileChange]) -> list[Step]:
        steps: list[Step] = []
        version = changes[0].after if changes else ""
        for change in changes:
            if change.after != version:  # of another line of history
                self._follow(change.after, version)
            if self._follow(change.before, change.after):
                lines = split_lines(change.before)
                before = tuple(lines[self._region.start : self._region.end])
                steps.append(Step(change.commit, before))
            version = change.before
        return steps

    def _follow(self, before: str, after: str) -> bool:
        """Move the region to an older version; return whether its code differs there."""
        if before == after:
            return False
        file = ChangedText.of("", self._kind, before, after)
        start = self._region.start
        growth = 0
        touching: list[Piece] = []
        for piece in file.pieces:
            for part in file.split(piece).pieces if self._meets(piece) else [piece]:
                if not _is_within(part, piece):
                    continue
                if self._belongs(part):
                    growth += len(part.old) - len(part.new)
                    touching.append(piece)
                elif part.last <= self._region.start:
                    start += len(part.old) - len(part.new)
        end = start + self._region.end - self._region.start + growth
        self._region = Region(start, max(start, end))
        if not touching:
            return False
        return not set(touching).isdisjoint(file.without_layout().pieces)

    def _meets(self, piece: Piece) -> bool:
        """Return whether a piece overlaps the region or is next to it."""
        return piece.line - 1 <= self._region.end and self._region.start <= piece.last

    def _belongs(self, part: Piece) -> bool:
        """Return whether a part overlaps the region, or is next to it and of the same piece."""
        if not self._meets(part):
            return False
        start, end = self._region.start, self._region.end
        if part.line - 1 < end and start < part.last:
            return True
        is_alike = not self._removed.isdisjoint(line.strip() for line in part.old)
        return is_alike or not (self._is_strict or part.new)


def _is_within(part: Piece, piece: Piece) -> bool:
    return piece.start <= part.start and part.end <= piece.end
