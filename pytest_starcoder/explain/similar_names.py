"""Finds the existing name or key that a misspelt one probably stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import TypeGuard

from pytest_starcoder.text.reprs import short_repr

MAX_CANDIDATES = 5000
"""Maximum number of names or keys that are compared."""

MAX_KEY_LENGTH = 400
"""Maximum length of a key that is compared: longer ones are rarely typed by hand."""

CUTOFF = 0.6
"""Similarity, as difflib computes it, below which two texts are not alike."""


def nearest_key(key: object, keys: Iterable[object]) -> str:
    """Return the key that is most similar to `key`, as a literal; empty if none is similar."""
    texts = []
    numbers = []
    for candidate in islice(keys, MAX_CANDIDATES):
        if _is_short_text(candidate):
            texts.append(candidate)
        elif type(candidate) is int:
            numbers.append(str(candidate))
    if _is_short_text(key):
        near = _nearest_text(key, texts)
        if near:
            return short_repr(near)
        if key in numbers:
            return f"{key} as a number"
    # The same key in another type is a common mistake: 1 and "1".
    text = None
    if type(key) is int:
        text = str(key)
    elif type(key) is bytes:
        text = key.decode("latin-1")
    return f"the string {text!r}" if text in texts else ""


def _is_short_text(key: object) -> TypeGuard[str]:
    return type(key) is str and len(key) <= MAX_KEY_LENGTH


def _nearest_text(text: str, candidates: list[str]) -> str:
    folded = text.casefold()
    for candidate in candidates:
        if candidate.casefold() == folded:
            return candidate
    # A comparison takes time quadratic in the length, so long texts get fewer candidates.
    cost = (len(text) + 1) ** 2
    limit = max(20, 500_000 // cost)
    matches = difflib.get_close_matches(text, candidates[:limit], n=1, cutoff=CUTOFF)
    return matches[0] if matches else ""


def nearest_name(name: object, names: Iterable[object]) -> str:
    """Return the name that is most similar to another; empty if none is similar."""
    if type(name) is not str:
        return ""
    candidates = []
    for candidate in islice(names, MAX_CANDIDATES):
        if type(candidate) is not str or candidate == name:
            continue
        # Nobody misspells a plain name into a dunder one.
        if name.startswith("__") or not candidate.startswith("__"):
            candidates.append(candidate)
    matches = difflib.get_close_matches(name[:100], candidates, n=1, cutoff=CUTOFF)
    return matches[0] if matches else ""
