"""The comment `starcoder: ignore`, which silences findings on its line or on the next one."""

from __future__ import annotations

import re

from pytest_starcoder.review.change import Change
from pytest_starcoder.review.finding import Finding

_MARK = re.compile(
    r"(?i)(?:#|//|/\*|--|;|%|<!--|\(\*|\{-|\"|'|\bREM\b|\.\.)\s*starcoder:\s*ignore\b"
)
"""The mark, behind the characters that begin a comment in some language."""


class IgnoreMarks:
    """The lines of a change that have the mark."""

    def __init__(self, change: Change) -> None:
        self._texts = change.texts
        self._files: dict[str, list[str]] = {}
        self._hunks = {}
        for hunk in (*change.hunks, *change.unasked):
            for number in hunk.added:
                self._hunks[hunk.path, number] = hunk

    def cover(self, finding: Finding) -> bool:
        """Return whether the line has the mark, or a comment line above it does."""
        if _MARK.search(finding.source):
            return True
        hunk = self._hunks.get((finding.path, finding.line))
        if hunk is None:
            return False
        above = hunk.line(finding.line - 1) or self._line(finding.path, finding.line - 1)
        return _MARK.match(above.strip()) is not None

    def _line(self, path: str, number: int) -> str:
        if path not in self._files:
            self._files[path] = self._texts.get(path, "").split("\n")
        lines = self._files[path]
        return lines[number - 1] if 1 <= number <= len(lines) else ""
