"""Parses Python source without warnings, and finds positions of its nodes in the text."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache

# MemoryError: nested too deeply.
_NOT_PARSED = (SyntaxError, ValueError, RecursionError, MemoryError)


@lru_cache(maxsize=16)  # a file with many failing tests is read once
def syntax_tree(source: str) -> ast.Module | None:
    """Parse Python source; None if it does not parse. Never warns about the code in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except _NOT_PARSED:
            return None


def is_literal(code: str | ast.expr) -> bool:
    """Return whether `ast.literal_eval` can read an expression. Never warns about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.literal_eval(code)
        except (*_NOT_PARSED, TypeError):  # TypeError: {[]: 1}
            return False
    return True


class Offsets:
    """Converts positions of `ast` (1-based line, column in bytes of UTF-8) to characters."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._is_ascii = source.isascii()
        # As in Python, a carriage return alone also ends a line.
        line_ends = [match.end() for match in re.finditer(r"\r\n?|\n", source)]
        self._starts = [0, *line_ends, len(source)]

    def of(self, line: int, column: int = 0) -> int:
        """Return the index of the character at a line and column."""
        if not self._is_ascii:
            column = len(self.line(line).encode()[:column].decode("utf-8", "ignore"))
        return self._starts[line - 1] + column

    def line(self, line: int) -> str:
        """Return a line without its end."""
        return self._source[self._starts[line - 1] : self._starts[line]].rstrip("\r\n")
