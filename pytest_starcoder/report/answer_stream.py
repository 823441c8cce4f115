"""A model's answer as plain text on a terminal, while it is written."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_starcoder.text.display import printable

_WORD_END = re.compile(r"(?<=[ \n\t])")


class PlainText:
    """Writes a text word by word through `write`, without escape sequences.

    Only whole words are written, so that an escape sequence is recognized however the
    text is divided. Lines and indentation are kept.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._word = ""

    def add(self, piece: str) -> None:
        """Add a piece of the text."""
        # The end of the text may be half a word or half an escape sequence.
        *words, self._word = _WORD_END.split(self._word + piece)
        if words:
            shown = [printable(word, tabs=True) for word in words]
            self._write("".join(shown))

    def end(self) -> None:
        """Write the last word and a newline."""
        self._write(printable(self._word, tabs=True) + "\n")
        self._word = ""
