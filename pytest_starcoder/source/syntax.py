"""Python source as a syntax tree, and where in the text its nodes stand."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache


@lru_cache(maxsize=16)  # a file with many failing tests is read once
def syntax_tree(source: str) -> ast.Module | None:
    """`source` parsed, without a warning on what it holds; None where it is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (
            SyntaxError,
            ValueError,
            RecursionError,
            MemoryError,
        ):  # MemoryError: too deeply nested
            return None


def is_literal(code: str | ast.expr) -> bool:
    """Whether an expression is a literal that `ast.literal_eval` can read; without a warning on what it holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.literal_eval(code)
        except (
            SyntaxError,
            ValueError,
            TypeError,
            RecursionError,
            MemoryError,
        ):  # TypeError: {[]: 1}
            return False
    return True


class Offsets:
    """Characters of a text by line (1-based) and by column in bytes of UTF-8, as `ast` counts them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._ascii = source.isascii()
        # As Python reads a source, a line ends with a carriage return alone as well.
        self._starts = [
            0,
            *(found.end() for found in re.finditer(r"\r\n?|\n", source)),
            len(source),
        ]

    def of(self, line: int, column: int = 0) -> int:
        """The character at a line and a column."""
        if self._ascii:
            return self._starts[line - 1] + column
        return self._starts[line - 1] + len(
            self.line(line).encode()[:column].decode("utf-8", "ignore")
        )

    def line(self, line: int) -> str:
        """A line without its end."""
        return self._source[self._starts[line - 1] : self._starts[line]].rstrip("\r\n")
