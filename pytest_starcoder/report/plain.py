"""A model's words as they come, its lines and indentation kept, without what a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_starcoder.text.display import printable

_WORDS = re.compile(r"(?<=[ \n\t])")


class Plain:
    """Writes text through `write` word by word, so that an escape sequence is seen whole however it is divided."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._held = ""

    def add(self, piece: str) -> None:
        """Takes the next piece, and writes the words that are complete."""
        *words, self._held = _WORDS.split(self._held + piece)
        if words:
            self._write("".join(printable(word, tabs=True) for word in words))

    def end(self) -> None:
        """Writes what is left, and a newline."""
        self._write(printable(self._held, tabs=True) + "\n")
        self._held = ""
