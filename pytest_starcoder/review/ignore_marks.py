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
    """The marks of a change: those behind code are found in the finding's own source."""

    def __init__(self, change: Change) -> None:
        self._alone: set[tuple[str, int]] = set()
        for path, text in change.texts.items():
            for number, line in enumerate(text.split("\n"), 1):
                self._add(path, number, line)
        # A diff from standard input has no texts, only hunks.
        for hunk in (*change.hunks, *change.unasked):
            for number, line in hunk.numbered():
                if not line.startswith("-"):
                    self._add(hunk.path, number, line[1:])

    def _add(self, path: str, number: int, line: str) -> None:
        # Looking for a constant first keeps this fast in long files.
        if "starcoder" in line.lower() and _MARK.match(line.strip()):
            self._alone.add((path, number))

    def cover(self, finding: Finding) -> bool:
        """Return whether the line has the mark, or a comment line above it does."""
        is_marked = _MARK.search(finding.source) is not None
        return is_marked or (finding.path, finding.line - 1) in self._alone
