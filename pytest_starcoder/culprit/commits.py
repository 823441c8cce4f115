"""Finds the commit that made a piece of a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_starcoder.culprit.pieces import ChangedText, Kind, Piece
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.git.file_changes import FileChange

Passes = Callable[[tuple[str, ...]], bool]
"""Returns whether the test passes if these lines replace a piece."""


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
    """Return those changes of a file that made a piece, the newest first.

    `region` are the lines of the piece now, and `removed` are the lines that they replaced.
    """
    if region.start < region.end or not changes:
        return _steps_back(changes, kind, region, removed)
    # Removed lines cannot be followed back from today: they are followed forward.
    original = _find_block(split_lines(changes[-1].before), removed, region.start)
    if original is None:
        return []
    tracking = _Tracking(kind, original, removed)
    steps: list[Step] = []
    version = changes[-1].before
    for change in reversed(changes):
        if change.before != version:  # of another line of history
            tracking.follow(version, change.before)
        lines = tracking.lines_of(change.before)
        if tracking.follow(change.before, change.after):
            steps.append(Step(change.commit, lines))
        version = change.after
    return steps[::-1]


def _steps_back(
    changes: Sequence[FileChange], kind: Kind, region: Region, removed: Sequence[str]
) -> list[Step]:
    tracking = _Tracking(kind, region, removed)
    steps: list[Step] = []
    version = changes[0].after if changes else ""
    for change in changes:
        if change.after != version:  # of another line of history
            tracking.follow(version, change.after)
        if tracking.follow(change.after, change.before):
            steps.append(Step(change.commit, tracking.lines_of(change.before)))
        version = change.before
    return steps


def _find_block(lines: Sequence[str], block: Sequence[str], near: int) -> Region | None:
    """Return where lines contain a block, ignoring indentation: the place nearest to `near`."""
    wanted = [line.strip() for line in block]
    stripped = [line.strip() for line in lines]
    starts = []
    for start in range(len(stripped) - len(wanted) + 1):
        if stripped[start : start + len(wanted)] == wanted:
            starts.append(start)
    if not starts:
        return None
    start = min(starts, key=lambda place: abs(place - near))
    return Region(start, start + len(wanted))


def choose(steps: Sequence[Step], passes: Passes) -> Step:
    """Return the step that made the test fail, given that it passes before the oldest.

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
    """Follows the lines of a piece from one version of its file to another."""

    def __init__(self, kind: Kind, region: Region, removed: Sequence[str]) -> None:
        self._kind = kind
        self._region = region
        self._removed = {line.strip() for line in removed} - {""}

    def lines_of(self, version: str) -> tuple[str, ...]:
        """Return the lines of the piece in the version that was followed last."""
        return tuple(split_lines(version)[self._region.start : self._region.end])

    def follow(self, version: str, target: str) -> bool:
        """Move from one version to another; return whether the code of the piece differs."""
        if version == target:
            return False
        file = ChangedText.of("", self._kind, target, version)
        start = self._region.start
        growth = 0
        touching: set[Piece] = set()
        for piece in file.pieces:
            for part in file.split(piece).pieces if self._meets(piece) else [piece]:
                if not _is_within(part, piece):
                    continue
                difference = len(part.old) - len(part.new)
                if self._belongs(part):
                    growth += difference
                    touching.add(piece)
                elif part.last <= self._region.start:
                    start += difference
        end = start + self._region.end - self._region.start + growth
        self._region = Region(start, max(start, end))
        if not touching:
            return False
        return not touching.isdisjoint(file.without_layout().pieces)

    def _meets(self, piece: Piece) -> bool:
        """Return whether a piece overlaps the region or is next to it."""
        return piece.line - 1 <= self._region.end and self._region.start <= piece.last

    def _belongs(self, part: Piece) -> bool:
        """Return whether a part overlaps the region, or is next to it with lines of the piece."""
        if not self._meets(part):
            return False
        if part.line - 1 < self._region.end and self._region.start < part.last:
            return True
        return not self._removed.isdisjoint(line.strip() for line in part.old)


def _is_within(part: Piece, piece: Piece) -> bool:
    return piece.start <= part.start and part.end <= piece.end
