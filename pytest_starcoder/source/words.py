"""The words in names and texts, by which code and failing tests are compared."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w{2,}")
_PART = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}(?![a-z])")

COMMON_WORDS = frozenset(
    "assert class def expected false for from import none not result return self test the true"
    " with".split()
)
"""Words that most code contains."""


def words_in(text: str) -> frozenset[str]:
    """Return the words of a text, names and strings alike."""
    return frozenset(_WORD.findall(text))


def word_parts(text: str) -> frozenset[str]:
    """Return the words of a text, and the parts of composed names, in lower case.

    Common words are left out.
    """
    parts: set[str] = set()
    for word in _WORD.findall(text):
        parts.add(word.lower())
        for part in _PART.findall(word):
            parts.add(part.lower())
    return frozenset(parts - COMMON_WORDS)


class LineWords:
    """The `word_parts` of each line of a file, computed on demand."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._parts: dict[int, frozenset[str]] = {}

    def on_line(self, number: int) -> frozenset[str]:
        """Return the parts on a line; empty if there is no such line."""
        if not 0 < number <= len(self._lines):
            return frozenset()
        if number not in self._parts:
            self._parts[number] = word_parts(self._lines[number - 1])
        return self._parts[number]
