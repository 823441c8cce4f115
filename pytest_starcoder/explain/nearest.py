"""Finds the name or key that a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from pytest_starcoder.text.reprs import short_repr

MAX_CANDIDATES = 5000
"""Maximum number of names or keys among which the nearest is searched."""

MAX_KEY_LENGTH = 400
"""Maximum length of a key that is compared: longer ones are hardly misspelt."""

CUTOFF = 0.6
"""Similarity below which two texts are not alike, as difflib computes it."""


def nearest_key(key: object, keys: Iterable[object]) -> str:
    """Return the key that is most similar to `key`, as a literal; empty if none is."""
    candidates = list(islice(keys, MAX_CANDIDATES))
    texts = [text for text in candidates if type(text) is str and len(text) <= MAX_KEY_LENGTH]
    as_string = str(key) if type(key) is int else ""
    if type(key) is bytes:
        as_string = key.decode("latin-1")
    if as_string and as_string in texts:
        return f"the string {as_string!r}"
    if type(key) is not str or len(key) > MAX_KEY_LENGTH:
        return ""
    for text in texts:
        if text.casefold() == key.casefold():
            return short_repr(text)
    # Comparing takes time that grows with the square of the length.
    room = max(20, 500_000 // (len(key) + 1) ** 2)
    matches = difflib.get_close_matches(key, texts[:room], n=1, cutoff=CUTOFF)
    if matches:
        return short_repr(matches[0])
    numbers = [str(number) for number in candidates if type(number) is int]
    return f"{key} as a number" if key in numbers else ""


def nearest_name(name: object, names: Iterable[object]) -> str:
    """Return the name that is most similar to another; empty if none is."""
    if type(name) is not str:
        return ""
    candidates = []
    for candidate in islice(names, MAX_CANDIDATES):
        if type(candidate) is not str or candidate == name:
            continue
        if name.startswith("__") or not candidate.startswith("__"):
            candidates.append(candidate)
    matches = difflib.get_close_matches(name[:100], candidates, n=1, cutoff=CUTOFF)
    return matches[0] if matches else ""
