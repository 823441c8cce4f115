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
    texts = []
    numbers = []
    for candidate in islice(keys, MAX_CANDIDATES):
        if type(candidate) is str and len(candidate) <= MAX_KEY_LENGTH:
            texts.append(candidate)
        elif type(candidate) is int:
            numbers.append(str(candidate))
    if type(key) is str and len(key) <= MAX_KEY_LENGTH:
        near = _nearest_text(key, texts)
        if near:
            return short_repr(near)
        return f"{key} as a number" if key in numbers else ""
    if type(key) is int:
        as_string = str(key)
    elif type(key) is bytes:
        as_string = key.decode("latin-1")
    else:
        return ""
    return f"the string {as_string!r}" if as_string in texts else ""


def _nearest_text(text: str, candidates: list[str]) -> str:
    folded = text.casefold()
    for candidate in candidates:
        if candidate.casefold() == folded:
            return candidate
    # Comparing takes time that grows with the square of the length.
    room = max(20, 500_000 // (len(text) + 1) ** 2)
    matches = difflib.get_close_matches(text, candidates[:room], n=1, cutoff=CUTOFF)
    return matches[0] if matches else ""


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
