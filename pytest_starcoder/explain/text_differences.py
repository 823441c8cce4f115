"""Describes how two strings or byte strings differ."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from pytest_starcoder.explain.equality import Pair, common_start
from pytest_starcoder.text.display import counted

MAX_FOLDED = 100_000
"""Maximum length of a text that is normalized or searched: both copy it."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(Z|[+-]\d\d:?\d\d)$")
"""A datetime in ISO format with a time zone."""

MAX_QUOTED = 60
"""Maximum length of a quoted text."""


def compare_texts(pair: Pair) -> Iterator[str]:
    """Yield sentences on two strings."""
    actual, expected = pair.actual, pair.expected
    if actual == expected:
        return
    length = max(len(actual), len(expected))
    if length <= MAX_FOLDED:
        yield from _compare_forms(pair)
    if _is_extended(actual, expected) or _is_extended(expected, actual):
        yield from _compare_lengths(pair)
        return
    if pair.place and length <= 40:
        return  # both were already shown in full
    index = common_start(actual, expected)
    newlines = actual.count("\n", 0, index)
    where = f"line {newlines + 1}" if newlines else f"index {index}"
    excerpt = _context(actual, index)
    expected_excerpt = _context(expected, index)
    yield f"{pair.at}they differ from {where} on: {excerpt} instead of {expected_excerpt}"
    yield from _compare_characters(pair, actual[index], expected[index])
    yield from _count(pair, "character")


def _compare_characters(pair: Pair, actual: str, expected: str) -> Iterator[str]:
    """Yield the names of two characters if one of them is invisible or not ASCII."""
    both = actual + expected
    if not both.isascii() or not both.isprintable():
        yield f"{pair.at}{_character(actual)} instead of {_character(expected)}"


def compare_bytes(pair: Pair) -> Iterator[str]:
    """Yield sentences on two byte strings."""
    actual, expected = pair.actual, pair.expected
    index = common_start(actual, expected)
    excerpt = _context(actual, index)
    expected_excerpt = _context(expected, index)
    yield f"{pair.at}they differ from byte {index} on: {excerpt} instead of {expected_excerpt}"
    yield from _count(pair, "byte")


def _is_extended(longer: str, shorter: str) -> bool:
    """Return whether `longer` is `shorter` with text added at its end or its start."""
    return longer.startswith(shorter) or longer.endswith(shorter)


def _compare_forms(pair: Pair) -> Iterator[str]:
    """Yield a sentence if two strings differ only in whitespace, encoding or case."""
    actual, expected = pair.actual, pair.expected
    if actual.rstrip("\n") == expected.rstrip("\n"):
        newlines = counted(_trailing_newlines(actual), "newline")
        expected_number = _trailing_newlines(expected)
        yield f"{pair.at}the value ends with {newlines}, the expected text with {expected_number}"
        return
    if _is_same_moment(actual, expected):
        yield f"{pair.at}both are the same moment, written in different time zones"
        return
    # From the narrowest to the widest: the first one that matches says most.
    forms = {
        "they differ only in line endings": _unify_newlines,
        "they differ only in whitespace": _remove_whitespace,
        "they look alike, but consist of different characters": _normalize,
        "they differ only in case": str.casefold,
    }
    for sentence, convert in forms.items():
        if convert(actual) == convert(expected):
            yield pair.at + sentence
            return


def _is_same_moment(actual: str, expected: str) -> bool:
    """Return whether two texts are datetimes with time zones, and the same moment."""
    if not (MOMENT.match(actual) and MOMENT.match(expected)):
        return False
    try:
        moments = datetime.fromisoformat(actual), datetime.fromisoformat(expected)
    except ValueError:
        return False
    are_aware = all(moment.tzinfo is not None for moment in moments)
    return are_aware and moments[0] == moments[1]


def _unify_newlines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _remove_whitespace(text: str) -> str:
    return "".join(text.split())


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _trailing_newlines(text: str) -> int:
    return len(text) - len(text.rstrip("\n"))


def _compare_lengths(pair: Pair) -> Iterator[str]:
    """Yield the text that the longer string has at its start or end."""
    actual, expected = pair.actual, pair.expected
    if actual.rstrip("\n") == expected.rstrip("\n"):
        return  # the number of newlines was already given
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
    code_point = f"U+{ord(char):04X}"
    name = unicodedata.name(char, "")  # control characters have no name
    return f"{code_point} {name}".strip()


def _context(text: str | bytes, index: int) -> str:
    """Return the text around an index as a literal; for a string, without earlier lines."""
    start = max(0, index - 10)
    end = index + 20
    # The lines before the difference are equal.
    if isinstance(text, str):
        line_start = text.rfind("\n", 0, index) + 1
        start = max(start, line_start)
    return repr(text[start:end])


def missing_text(part: str, text: str) -> Iterator[str]:
    """Yield the most similar text that a text contains instead of `part`."""
    text = text[:MAX_FOLDED]
    match = None
    if len(part) <= len(text):
        match = re.search(re.escape(part), text, re.IGNORECASE)
    if match:
        index = match.start()
        yield f"the text contains it in a different case, at index {index}: {match[0]!r}"
    elif _remove_whitespace(part) in _remove_whitespace(text):
        yield "the text contains it with different whitespace"
    elif len(part) > len(text):
        length = counted(len(text), "character")
        yield f"the text has {length}, fewer than the {len(part)} that are searched for"
    elif len(part) <= 100:  # comparing longer texts takes too long
        yield from _nearest_part(part, text)


def _nearest_part(part: str, text: str) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, part, text[:2000], autojunk=False)
    block = matcher.find_longest_match()
    if block.size < max(4, len(part) / 2):
        return
    start = max(0, block.b - block.a)
    end = start + len(part)
    yield f"the nearest is {text[start:end]!r}, at index {start}"
