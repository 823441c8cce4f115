"""Splits changed files into pieces that can be undone one by one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_starcoder.culprit.line_diff import opcodes
from pytest_starcoder.runner.outcome import Lines
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import syntax_tree

Kind = Literal["code", "test", "data"]
"""What a file holds: code under test, tests and their support code, or anything but Python."""

SIMILAR = 0.5
"""Minimum similarity, from 0 to 1, of an old and a new line that count as one changed line."""

MAX_DISTANCE = 20
"""Maximum number of old lines that are searched for the counterpart of a new line."""

_LAYOUT = re.compile(r"[\s,()'\"\\]+")
"""What a formatter adds and removes."""

_COMMENT_OR_LAYOUT = re.compile(rf"#[^\n]*|{_LAYOUT.pattern}")


@dataclass(frozen=True)
class Piece:
    """A run of changed lines in one file: `new` replaced `old`.

    `line` is the first of its lines in the new text, 1-based; where lines were only removed,
    it is the line after the gap. `start` and `end` are its characters in the new text. A piece
    that is `whole` adds or removes the file.
    """

    path: str
    kind: Kind
    line: int
    start: int
    end: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    whole: bool = False

    @property
    def last(self) -> int:
        """The last line in the new text; before `line` if lines were only removed."""
        return self.line + len(self.new) - 1

    @property
    def size(self) -> int:
        """The number of removed and added lines."""
        return len(self.old) + len(self.new)

    def is_among(self, lines: Lines) -> bool:
        """Return whether lines of this piece, or lines next to removed ones, are among `lines`."""
        lines_of_file = lines.get(self.path)
        if not lines_of_file:
            return False
        if self.whole:
            return True
        near = range(self.line, self.last + 1)
        if not self.new:
            near = range(self.line - 1, self.line + 1)
        return not lines_of_file.isdisjoint(near)

    def is_within(self, other: Piece) -> bool:
        """Return whether this is another piece of the file, or a part of it."""
        is_inside = other.start <= self.start and self.end <= other.end
        return self.path == other.path and is_inside

    @property
    def diff(self) -> str:
        """The removed and added lines, with their signs."""
        lines = [f"-{line.rstrip()}" for line in self.old]
        lines += [f"+{line.rstrip()}" for line in self.new]
        return "\n".join(lines)


Pieces = frozenset[Piece]


def in_order(pieces: Pieces) -> list[Piece]:
    """Sort pieces by file and line."""
    return sorted(pieces, key=lambda piece: (piece.path, piece.line))


@dataclass(frozen=True)
class ChangedText:
    """A file in two states: `segments` are the unchanged text and the pieces between."""

    path: str
    kind: Kind
    segments: tuple[str | Piece, ...]

    @classmethod
    def of(cls, path: str, kind: Kind, old: str | None, new: str | None) -> ChangedText:
        """Compare two texts of a file; None stands for a file that does not exist."""
        if old is None or new is None:
            end = len(new or "")
            whole = Piece(path, kind, 1, 0, end, _all_lines(old), _all_lines(new), whole=True)
            return cls(path, kind, (whole,))
        return cls(path, kind, tuple(_segments(path, kind, split_lines(old), split_lines(new))))

    @property
    def pieces(self) -> list[Piece]:
        return [segment for segment in self.segments if isinstance(segment, Piece)]

    def undo(self, undone: Collection[Piece]) -> str | None:
        """Return the new text without the pieces in `undone`; None if that deletes the file."""
        texts: list[str] = []
        for segment in self.segments:
            if isinstance(segment, str):
                lines: Sequence[str] = [segment] if segment else []
            else:
                lines = segment.old if segment in undone else segment.new
                if segment.whole and not lines:
                    return None
            if texts and lines and not texts[-1].endswith("\n"):
                texts.append("\n")  # the last line of one state may have no line end
            texts += lines
        return "".join(texts)

    def edits(self, undone: Collection[Piece]) -> list[Edit]:
        """Return the edits of the new text that undo pieces; they neither touch nor overlap."""
        text = self.undo(()) or ""
        edits: list[Edit] = []
        for piece in self.joined(undone):
            earliest = edits[-1].span[1] + 1 if edits else 0
            edits.append(_edit(piece, text, earliest))
        return edits

    def joined(self, pieces: Collection[Piece]) -> list[Piece]:
        """Return pieces of this file, with adjacent ones joined."""
        runs: list[list[Piece]] = [[]]
        for segment in self.segments:
            if isinstance(segment, Piece):
                if segment in pieces:
                    runs[-1].append(segment)
                    continue
                if not segment.new:
                    continue  # removed lines that stay removed separate nothing
            if runs[-1]:
                runs.append([])
        return [_join(run) for run in runs if run]

    def split(self, piece: Piece) -> ChangedText:
        """Return the same file with one piece replaced by its smallest parts."""
        segments: list[str | Piece] = []
        for segment in self.segments:
            segments += _parts(segment) if segment == piece else [segment]
        return replace(self, segments=tuple(segments))

    def without_layout(self) -> ChangedText:
        """Return the file without pieces that change only comments or layout: these stay."""
        segments: list[str | Piece] = []
        if self.kind != "data" and self._has_same_syntax(self.pieces):
            return replace(self, segments=(self.undo(()) or "",))
        for segment in self.segments:
            if isinstance(segment, Piece) and self._is_layout(segment):
                segments += segment.new
            else:
                segments.append(segment)
        return replace(self, segments=tuple(segments))

    def _is_layout(self, piece: Piece) -> bool:
        if self.kind == "data" or piece.whole:
            return False
        old, new = _code_lines(piece.old), _code_lines(piece.new)
        if old == new:
            # Indentation is code, and so may be a line of a string that looks like a comment.
            return self._has_same_syntax([piece])
        if _LAYOUT.sub("", "".join(old)) != _LAYOUT.sub("", "".join(new)):
            return False
        return self._has_same_syntax([piece])

    def _has_same_syntax(self, pieces: Collection[Piece]) -> bool:
        import ast

        if any(piece.whole for piece in pieces):
            return False
        old, new = self.undo(pieces) or "", self.undo(()) or ""
        # Comparing trees takes 50 times as long.
        if _COMMENT_OR_LAYOUT.sub("", old) != _COMMENT_OR_LAYOUT.sub("", new):
            return False
        before, after = syntax_tree(old), syntax_tree(new)
        if before is None or after is None:
            return False
        return ast.dump(before) == ast.dump(after)


def _all_lines(text: str | None) -> tuple[str, ...]:
    """Return the lines of a file; an empty file has one, unlike a file that does not exist."""
    if text is None:
        return ()
    return tuple(split_lines(text)) or ("",)


def _edit(piece: Piece, text: str, earliest: int) -> Edit:
    """Return the edit of the new text that undoes a piece; it starts at `earliest` or later.

    It does not go beyond the lines of the piece, so that it is inside a function if they are.
    """
    before, after = "".join(piece.new), "".join(piece.old)
    start, end = piece.start, piece.end
    if before and after:
        if before.endswith("\n"):
            before, after, end = before[:-1], after.removesuffix("\n"), end - 1
    elif start and text[start - 1] != "\n":
        after = "\n" + after  # after a last line without end
    elif start > earliest and not _begins_block(text, start):
        # From the end of the line before: what follows may be outside the function.
        start -= 1
        if before:
            end -= before.endswith("\n")
            before = text[start:end]
        else:
            end = start
            after = "\n" + after.removesuffix("\n")
    return Edit(piece.path, (start, end), before, after, "undone", 0.0, piece.line)


def _begins_block(text: str, start: int) -> bool:
    """Return whether the line before a position ends with a colon."""
    line_start = text.rfind("\n", 0, start - 1) + 1
    return text[line_start:start].rstrip().endswith(":")


def _join(pieces: Sequence[Piece]) -> Piece:
    """Return one piece for several adjacent ones."""
    first, last = pieces[0], pieces[-1]
    if first is last:
        return first
    old: list[str] = []
    new: list[str] = []
    for piece in pieces:
        old += piece.old
        new += piece.new
    return replace(first, end=last.end, old=tuple(old), new=tuple(new))


def _segments(
    path: str, kind: Kind, old: Sequence[str], new: Sequence[str]
) -> Iterator[str | Piece]:
    offset = 0
    for is_equal, old_start, old_end, new_start, new_end in opcodes(old, new):
        text = "".join(new[new_start:new_end])
        if is_equal:
            yield text
        else:
            yield Piece(
                path,
                kind,
                new_start + 1,
                offset,
                offset + len(text),
                tuple(old[old_start:old_end]),
                tuple(new[new_start:new_end]),
            )
        offset += len(text)


def _parts(piece: Piece) -> list[str | Piece]:
    """Return a piece as changed, removed and added lines."""
    if piece.whole or piece.size <= 2:
        return [piece]
    parts: list[str | Piece] = []
    line, offset = piece.line, piece.start
    for old, new in _aligned(piece.old, piece.new):
        text = "".join(new)
        part = Piece(
            piece.path,
            piece.kind,
            line,
            offset,
            offset + len(text),
            old,
            new,
        )
        parts.append(part)
        line += len(new)
        offset += len(text)
    return parts


def _aligned(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield pairs of similar old and new lines, and lines without a counterpart."""
    position = 0
    for line in new:
        twin = _most_similar(line, old[position : position + MAX_DISTANCE])
        if twin is None:
            yield (), (line,)
            continue
        for removed in old[position : position + twin]:
            yield (removed,), ()
        yield (old[position + twin],), (line,)
        position += twin + 1
    for removed in old[position:]:
        yield (removed,), ()


def _most_similar(line: str, candidates: Sequence[str]) -> int | None:
    best, best_ratio = None, SIMILAR
    for index, candidate in enumerate(candidates):
        matcher = difflib.SequenceMatcher(None, candidate.strip(), line.strip())
        if matcher.real_quick_ratio() <= best_ratio or matcher.quick_ratio() <= best_ratio:
            continue  # both are upper bounds of the ratio, which is slow
        ratio = matcher.ratio()
        if ratio > best_ratio:
            best, best_ratio = index, ratio
    return best


def _code_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that are neither blank nor comments, without surrounding space."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]
