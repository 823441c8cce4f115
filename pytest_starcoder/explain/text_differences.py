"""Describes in which way two strings or bytes differ."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator

from pytest_starcoder.explain.equality import Pair
from pytest_starcoder.text.display import counted

MAX_FOLDED = 100_000
"""Maximum length of a text that is normalized or searched: both need a copy of it."""

MAX_QUOTED = 60
"""Maximum length of a quoted text."""


def compare_texts(pair: Pair) -> Iterator[str]:
    """Yield sentences on two strings."""
    actual, expected = pair.actual, pair.expected
    if actual == expected:
        return
    if max(len(actual), len(expected)) <= MAX_FOLDED:
        yield from _compare_alike(pair)
    # One text continues the other, at its end or at its start.
    if _is_extended(actual, expected) or _is_extended(expected, actual):
        yield from _compare_lengths(pair)
        return
    if pair.place and max(len(actual), len(expected)) <= 40:
        return  # both were shown in full
    index = _first_difference(actual, expected)
    line = actual.count("\n", 0, index)
    where = f"line {line + 1}" if line else f"index {index}"
    around = f"{_context(actual, index)} instead of {_context(expected, index)}"
    yield f"{pair.at}they differ from {where} on: {around}"
    yield from _compare_characters(pair, actual[index], expected[index])
    yield from _count(pair, "character")


def _compare_characters(pair: Pair, actual: str, expected: str) -> Iterator[str]:
    """Yield the names of two characters if one of them cannot be recognized by its looks."""
    both = actual + expected
    if not both.isascii() or not both.isprintable():
        yield f"{pair.at}{_character(actual)} instead of {_character(expected)}"


def compare_bytes(pair: Pair) -> Iterator[str]:
    """Yield sentences on two byte strings."""
    actual, expected = pair.actual, pair.expected
    index = _first_difference(actual, expected)
    around = f"{_context(actual, index)} instead of {_context(expected, index)}"
    yield f"{pair.at}they differ from byte {index} on: {around}"
    yield from _count(pair, "byte")


def _is_extended(longer: str, shorter: str) -> bool:
    return longer.startswith(shorter) or longer.endswith(shorter)


def _compare_alike(pair: Pair) -> Iterator[str]:
    """Yield a sentence if two strings differ only in form."""
    actual, expected = pair.actual, pair.expected
    if actual.rstrip("\n") == expected.rstrip("\n"):
        newlines = counted(_trailing_newlines(actual), "newline")
        expected_number = _trailing_newlines(expected)
        yield f"{pair.at}the value ends with {newlines}, the expected text with {expected_number}"
    elif actual.replace("\r\n", "\n") == expected.replace("\r\n", "\n"):
        yield f"{pair.at}they differ only in line endings"
    elif "".join(actual.split()) == "".join(expected.split()):
        yield f"{pair.at}they differ only in whitespace"
    elif unicodedata.normalize("NFKC", actual) == unicodedata.normalize("NFKC", expected):
        yield f"{pair.at}they look alike, but consist of different characters"
    elif actual.casefold() == expected.casefold():
        yield f"{pair.at}they differ only in case"


def _trailing_newlines(text: str) -> int:
    return len(text) - len(text.rstrip("\n"))


def _compare_lengths(pair: Pair) -> Iterator[str]:
    """Yield the text by which one string is longer than the other, at its start or end."""
    actual, expected = pair.actual, pair.expected
    if actual.rstrip("\n") == expected.rstrip("\n"):
        return  # the number of newlines was named
    amount = "too many" if len(actual) > len(expected) else "missing"
    shorter, longer = sorted((actual, expected), key=len)
    if longer.startswith(shorter):
        side = "end"
        surplus = longer.removeprefix(shorter)
    else:
        side = "start"
        surplus = longer.removesuffix(shorter)
    number = counted(len(surplus), "character")
    if len(surplus) > MAX_QUOTED:
        surplus = surplus[: MAX_QUOTED - 1] + "…"
    yield f"{pair.at}{number} {amount} at the {side}: {surplus!r}"


def _count(pair: Pair, unit: str) -> Iterator[str]:
    actual, expected = len(pair.actual), len(pair.expected)
    if actual != expected:
        yield f"{pair.at}{counted(actual, unit)} instead of {expected}"


def _character(char: str) -> str:
    if char.isascii() and char.isprintable():
        return repr(char)
    name = unicodedata.name(char, "")  # control characters have none
    return f"U+{ord(char):04X} {name}".strip()


def _context(text: str | bytes, index: int) -> str:
    """Return the text around an index, as a literal; of a string only its line."""
    start = max(0, index - 10)
    # Lines before the difference are equal, so they say nothing.
    if isinstance(text, str):
        start = max(start, text.rfind("\n", 0, index) + 1)
    return repr(text[start : index + 20])


def _first_difference(first: str | bytes, second: str | bytes) -> int:
    """Return the first index at which two texts differ.

    Bisects, because comparing slices is much faster than comparing characters.
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def missing_text(part: str, text: str) -> Iterator[str]:
    """Yield what a text contains instead of `part`."""
    text = text[:MAX_FOLDED]
    match = None
    if len(part) <= len(text):
        match = re.search(re.escape(part), text, re.IGNORECASE)
    if match:
        index = match.start()
        yield f"the text contains it in a different case, at index {index}: {match[0]!r}"
    elif "".join(part.split()) in "".join(text.split()):
        yield "the text contains it with different whitespace"
    elif len(part) > len(text):
        length = counted(len(text), "character")
        yield f"the text has {length}, fewer than the {len(part)} that are searched for"
    elif len(part) <= 100:  # comparing longer texts takes too long
        matcher = difflib.SequenceMatcher(None, part, text[:2000], autojunk=False)
        block = matcher.find_longest_match()
        if block.size >= max(4, len(part) / 2):
            start = max(0, block.b - block.a)
            yield f"the nearest is {text[start : start + len(part)]!r}, at index {start}"
