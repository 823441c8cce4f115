"""Makes text safe to show on a terminal or in a report, and readable."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]?"  # colours and cursor moves
)

_JOINERS = "\u200c\u200d"
"""Format characters that change how letters and emoji look, not their direction."""

_WORD_END = re.compile(r"(?<=\S)[\s,;&<>(){}\[\]\"']")
"""Characters before which a text may be cut."""

_NUMBER = re.compile(r"([^0-9]*)([0-9]*)")


def printable(text: str, *, tabs: bool = False) -> str:
    """Return text without escape sequences, control and direction-changing characters.

    Newlines stay. A tab becomes a space, or stays with `tabs`, as code needs it. Lone
    surrogates become `\\udcXX`, so that every encoder can write the result.
    """
    text = _ESCAPE.sub("", text).replace("\r\n", "\n")
    if not tabs:
        text = text.replace("\t", " ")
    safe = [character for character in text if _is_safe(character)]
    return "".join(safe).encode("utf-8", "backslashreplace").decode("utf-8")


def _is_safe(character: str) -> bool:
    if character in "\n\t" or character in _JOINERS:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf")


def one_line(text: str, limit: int = 300) -> str:
    """Return printable text on one line, at most `limit` characters, with `…` where it is cut."""
    # White space and escape sequences shrink the text; of megabytes only the start is read.
    start = text[: 4 * limit]
    line = " ".join(printable(start).split())
    if len(line) <= limit and start == text:
        return line
    return line[: limit - 1].rstrip() + "…"


def cut_between_words(text: str, limit: int) -> str:
    """Return text on one line as `one_line` does, but never cut inside a word.

    Part of a secret would not be recognized as one.
    """
    line = one_line(text, limit + 1)
    if len(line) <= limit:
        return line
    ends = [match.start() for match in _WORD_END.finditer(line[: limit - 1])]
    return line[: ends[-1] if ends else 0].rstrip() + "…"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: '1 cause', '2 causes'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts texts as people do: test_2 before test_10."""
    parts = []
    for word, number in _NUMBER.findall(text):
        parts.append((word, int(number or 0)))
    return tuple(parts)
