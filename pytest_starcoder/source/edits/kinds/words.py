"""Texts that are names, misspelt by one letter: another word of the file is meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from pytest_starcoder.source.edits.kind import Direction, Place, Text, kind

SHORTEST = 3
"""Letters from which on a word is told from another that is near to it."""


@kind("misspelt word", ast.Constant, cost=1.5, direction=Direction.REPAIRS)
def misspelt(node: ast.Constant, place: Place) -> Iterator[Text]:
    value = node.value
    if not isinstance(value, str) or len(value) < SHORTEST or not value.isidentifier():
        return
    words = {
        word
        for word in (*_words(place.source), *place.seen.strings)
        if word != value and _is_near(value, word)
    }
    if value.startswith("__"):
        words |= {f"__{value.strip('_')}__"} - {value}
    for word in sorted(words):
        yield Text(repr(word), 1.5)


@lru_cache(maxsize=16)
def _words(source: str) -> frozenset[str]:
    return frozenset(re.findall(rf"\b[^\W\d]\w{{{SHORTEST - 1},}}", source))


def _is_near(one: str, other: str) -> bool:
    """Whether one letter was left out, put in, replaced, or exchanged with the next."""
    if abs(len(one) - len(other)) > 1 or not other.isidentifier():
        return False
    at = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    left, right = one[at:], other[at:]
    return (
        left[1:] == right
        or left == right[1:]
        or left[1:] == right[1:]
        or (left[1::-1], left[2:]) == (right[:2], right[2:])
    )
