"""Recognizes string literals, in the notation of a dozen languages at once."""

from __future__ import annotations

import re

from pytest_starcoder.redaction.patterns import lazy_pattern

Span = tuple[int, int]

LITERAL = lazy_pattern(
    r"(?P<prefix>(?:[A-Za-z]{1,2}|@|\$@?|@\$)?)"
    r"(?:(?P<long>\"\"\"|''')(?P<lines>(?:\\[\s\S]|(?!(?P=long))[^\\]){0,20000}?)(?P=long)"
    r"|(?P<escaped>\\{1,3}[\"'])(?P<inner>(?:(?!(?P=escaped))[^\n\"]){0,4000}?)(?P=escaped)"
    r"|(?P<short>[\"'`])(?P<line>(?:\\.|(?!(?P=short))[^\n\\]){0,20000})(?P=short)"
    r"|(?P<cut>[\"'])(?P<open>[^\n\"']{8,400})(?=\n|\Z|\.\.\.))"
)
"""A literal: in triple quotes, with escaped quotes, on one line, or cut off at its end."""

QUOTES = frozenset("'\"`\\")

_CONTENT_GROUPS = ("lines", "inner", "line", "open")

_OPENING_QUOTES = {
    quote: lazy_pattern(rf"(?<![\\A-Za-z0-9]){quote}|{quote}(?![A-Za-z0-9])") for quote in "'\"`"
}
"""A quote that is neither escaped nor the apostrophe of a word."""


def content_span(literal: re.Match[str]) -> Span:
    """Return the span between the quotes of a literal."""
    for group in _CONTENT_GROUPS:
        if literal[group] is not None:
            return literal.span(group)
    return literal.span()


def closes_literal(text: str, position: int) -> bool:
    """Return whether the quote at `position` ends a literal that began earlier in the line."""
    quote = text[position : position + 1]
    if quote not in _OPENING_QUOTES:
        return False
    before = line_before(text, position, 400)
    if quote not in before:
        return False
    return len(_OPENING_QUOTES[quote].findall(before)) % 2 == 1


def line_before(text: str, position: int, limit: int) -> str:
    """Return the text before `position` in its line, of a long line the last `limit` characters."""
    start = max(position - limit, 0)
    line_start = text.rfind("\n", start, position) + 1
    return text[max(line_start, start) : position]


def margin_at(text: str, position: int) -> int:
    """Return the indentation of the line at `position`; list markers of YAML count as blanks."""
    before = line_before(text, position, 1000)
    return len(before) - len(before.lstrip(" \t-"))


def is_word_character(text: str, position: int) -> bool:
    """Return whether a letter, a digit or an underscore stands at `position`."""
    if not 0 <= position < len(text):
        return False
    return text[position].isalnum() or text[position] == "_"


class Budget:
    """Bounds the work on one text, so that no text takes longer than its size warrants."""

    def __init__(self, text: str) -> None:
        self._remaining = 2 * len(text) + 10_000

    @property
    def is_spent(self) -> bool:
        return self._remaining <= 0

    def spend(self, characters: int) -> None:
        self._remaining -= characters
