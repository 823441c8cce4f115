"""Misspelt identifiers in strings, replaced with similar words of the file."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from pytest_starcoder.source.edits.context import Context
from pytest_starcoder.source.edits.kind import Direction, Replacements, kind

MIN_LENGTH = 3
"""Letters of the shortest word that is compared."""


@kind("misspelt word", cost=1.5, direction=Direction.REPAIRS)
def correct_spelling(node: ast.Constant, context: Context) -> Replacements:
    """Replace `"nmae"` with `"name"` if that is a word of the file."""
    word = node.value
    if not isinstance(word, str) or len(word) < MIN_LENGTH or not word.isidentifier():
        return
    candidates = {*_words(context.source), *context.observed.strings}
    similar = {candidate for candidate in candidates if _is_similar(word, candidate)}
    if word.startswith("__"):
        similar.add(f"__{word.strip('_')}__")  # the file may have no other such name
    for candidate in sorted(similar):
        if candidate != word:
            yield repr(candidate)


@lru_cache(maxsize=16)
def _words(source: str) -> frozenset[str]:
    return frozenset(re.findall(rf"\b[^\W\d]\w{{{MIN_LENGTH - 1},}}", source))


def _is_similar(first: str, second: str) -> bool:
    """Return whether one letter is missing, added, replaced or exchanged with the next."""
    if abs(len(first) - len(second)) > 1 or not second.isidentifier():
        return False
    # Only what follows the common prefix needs to be compared.
    while first and first[:1] == second[:1]:
        first = first[1:]
        second = second[1:]
    is_added = first[1:] == second
    is_missing = first == second[1:]
    is_replaced = first[1:] == second[1:]
    is_exchanged = first[1::-1] == second[:2] and first[2:] == second[2:]
    return is_added or is_missing or is_replaced or is_exchanged
