"""Splits changed files into pieces that can be undone one by one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import syntax_tree

Kind = Literal["code", "test", "data"]
"""What a file holds: code under test, tests and their support code, or anything but Python."""

SIMILAR = 0.5
"""Minimum similarity of an old and a new line that are one changed line, from 0 to 1."""

_LAYOUT = re.compile(r"[\s,()'\"\\]+")
"""What a formatter adds and removes."""


@dataclass(frozen=True)
class Piece:
    """A run of changed lines in one file: `new` took the place of `old`.

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

    @property
    def diff(self) -> str:
        """The removed and added lines, with their signs."""
        lines = [f"-{line.rstrip()}" for line in self.old]
        lines += [f"+{line.rstrip()}" for line in self.new]
        return "\n".join(lines)

    @property
    def edit(self) -> Edit:
        """The edit of the new text that undoes this piece.

        It stays between the first and the last character of the lines, so that it is inside
        a function if they are.
        """
        before, after = "".join(self.new), "".join(self.old)
        start, end = self.start, self.end
        if before.endswith("\n"):
            # Where lines were only added, a blank line remains.
            before, after, end = before[:-1], after.removesuffix("\n"), end - 1
        elif not before and start and self._follows_statement:
            start = end = start - 1
            after = "\n" + after.removesuffix("\n")
        return Edit(self.path, (start, end), before, after, "undone", 0.0, self.line)

    _follows_statement: bool = field(default=True, repr=False)
    """Whether the line before it does not begin a block."""


Pieces = frozenset[Piece]


@dataclass(frozen=True)
class ChangedText:
    """A file in two states, as kept text and the pieces between."""

    path: str
    kind: Kind
    segments: tuple[str | Piece, ...]

    @classmethod
    def of(cls, path: str, kind: Kind, old: str | None, new: str | None) -> ChangedText:
        """Compare the texts of a file, of which one may be None: it does not exist."""
        if old is None or new is None:
            old_lines, new_lines = split_lines(old or ""), split_lines(new or "")
            whole = Piece(
                path, kind, 1, 0, len(new or ""), tuple(old_lines), tuple(new_lines), whole=True
            )
            return cls(path, kind, (whole,))
        return cls(path, kind, tuple(_segments(path, kind, split_lines(old), split_lines(new))))

    @property
    def pieces(self) -> list[Piece]:
        return [segment for segment in self.segments if isinstance(segment, Piece)]

    def undo(self, undone: Collection[Piece]) -> str | None:
        """Return the new text without the pieces in `undone`; None if the file goes with them."""
        texts: list[str] = []
        for segment in self.segments:
            if isinstance(segment, str):
                texts.append(segment)
                continue
            lines = segment.old if segment in undone else segment.new
            if segment.whole and not lines:
                return None
            texts += lines
        return "".join(texts)

    def split(self, piece: Piece) -> ChangedText:
        """Return the same file with one piece replaced by its smallest parts."""
        segments: list[str | Piece] = []
        for segment in self.segments:
            segments += _parts(segment) if segment == piece else [segment]
        return replace(self, segments=tuple(segments))

    def without_layout(self) -> ChangedText:
        """Return the file without pieces that change comments or layout only: they are kept."""
        segments: list[str | Piece] = []
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
            return self._has_same_syntax(piece)
        if _LAYOUT.sub("", "".join(old)) != _LAYOUT.sub("", "".join(new)):
            return False
        return self._has_same_syntax(piece)

    def _has_same_syntax(self, piece: Piece) -> bool:
        import ast

        before, after = syntax_tree(self.undo({piece}) or ""), syntax_tree(self.undo(()) or "")
        if before is None or after is None:
            return False
        return ast.dump(before) == ast.dump(after)


def _segments(
    path: str, kind: Kind, old: Sequence[str], new: Sequence[str]
) -> Iterator[str | Piece]:
    offset = 0
    for tag, old_start, old_end, new_start, new_end in _opcodes(old, new):
        text = "".join(new[new_start:new_end])
        if tag == "equal":
            yield text
        else:
            before = new[new_start - 1] if new_start else ":"
            yield Piece(
                path,
                kind,
                new_start + 1,
                offset,
                offset + len(text),
                tuple(old[old_start:old_end]),
                tuple(new[new_start:new_end]),
                _follows_statement=not before.rstrip().endswith(":"),
            )
        offset += len(text)


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield the opcodes of difflib, which is slow, for the part that differs."""
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if head:
        yield "equal", 0, head, 0, head
    old_end, new_end = len(old) - tail, len(new) - tail
    matcher = difflib.SequenceMatcher(None, old[head:old_end], new[head:new_end], autojunk=False)
    for tag, *bounds in matcher.get_opcodes():
        first, second, third, fourth = (head + bound for bound in bounds)
        yield tag, first, second, third, fourth
    if tail:
        yield "equal", old_end, len(old), new_end, len(new)


def _parts(piece: Piece) -> list[str | Piece]:
    """Return a piece as changed, removed and added lines."""
    if piece.whole or piece.size <= 2:
        return [piece]
    parts: list[str | Piece] = []
    line, offset = piece.line, piece.start
    follows_statement = piece._follows_statement
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
            _follows_statement=follows_statement,
        )
        parts.append(part)
        line += len(new)
        offset += len(text)
        if new:
            follows_statement = not new[-1].rstrip().endswith(":")
    return parts


def _aligned(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield pairs of an old and a new line that resemble each other, and lines without a twin."""
    position = 0
    for line in new:
        twin = _most_similar(line, old[position:])
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
        ratio = difflib.SequenceMatcher(None, candidate.strip(), line.strip()).ratio()
        if ratio > best_ratio:
            best, best_ratio = index, ratio
    return best


def _code_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that are neither blank nor comments, without surrounding space."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]
