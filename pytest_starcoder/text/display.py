"""What may reach a terminal or a report: text without control characters."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]?"  # colours and cursor moves
)


def printable(text: str, *, tabs: bool = False) -> str:
    """`text` without escape sequences, control and direction-changing characters; newlines stay.

    A tab is a space, or stays with `tabs`, as code wants it. Lone surrogates
    come out as `\\udcXX`, so that every encoder can write the result.
    """
    text = _ESCAPE.sub("", text).replace("\r\n", "\n")
    text = text if tabs else text.replace("\t", " ")
    kept = (
        char
        for char in text
        if char in "\n\t"
        or unicodedata.category(char) not in ("Cc", "Cf")
        or char in "\u200c\u200d"
    )
    return "".join(kept).encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str, limit: int = 300) -> str:
    """`printable(text)` on one line, white space folded, at most `limit` characters with `…` where it was cut."""
    line = " ".join(printable(text[: 4 * limit]).split())
    return (
        line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 1].rstrip() + "…"
    )


def counted(number: int, noun: str) -> str:
    """'1 cause', '2 causes'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """A key that sorts texts as people do: test_2 before test_10."""
    return tuple((word, int(number or 0)) for word, number in _NUMBERED.findall(text))


_NUMBERED = re.compile(r"([^0-9]*)([0-9]*)")
