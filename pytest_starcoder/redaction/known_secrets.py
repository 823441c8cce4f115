"""Finds known secrets in a text, in time that does not depend on their number."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from pytest_starcoder.redaction.literals import Span, is_word_character
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_values import MIN_LENGTH, REDACTED, is_random

_MIN_SPLIT = 24
"""Minimum length of a secret that is also matched in parts."""

_MAX_LENGTH = 10_000
"""Maximum length of a secret; longer values are documents."""

_MIN_PIECE_IN_WORD = 16
"""Minimum length of a piece that counts even if it touches a word."""

_MAX_ENCODED = 1000
"""Number of secrets up to which their base64 is searched for, too; more are a list of words."""

_MAX_SEPARATE_SEARCHES = 300
"""Number of prefixes that are searched one by one; with more, each position is looked up."""

_LINE_BREAK = lazy_pattern(r"\r?\n")


class KnownSecrets:
    """Values that are secret in any text, in every form in which a text may show them.

    Forms are found by their first characters, so one pass over a text finds them all.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._forms: dict[str, bool] = {}
        self._lengths: dict[str, list[int]] = {}
        self._pieces: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def add(self, values: Iterable[str]) -> None:
        """Add the values that are long enough."""
        for value in values:
            has_length = MIN_LENGTH <= len(value) <= _MAX_LENGTH
            if has_length and value not in self._values and REDACTED not in value:
                self._add_value(value)

    def _add_value(self, value: str) -> None:
        self._values.add(value)
        for form, is_distinct in _forms(value, encode=len(self._values) <= _MAX_ENCODED):
            self._add_form(form, is_distinct)
        if len(value) >= _MIN_SPLIT:
            for start in range(len(value) - MIN_LENGTH + 1):
                self._pieces.add(value[start : start + MIN_LENGTH])

    def _add_form(self, form: str, is_distinct: bool) -> None:
        if len(form) < MIN_LENGTH or form in self._forms:
            return
        self._forms[form] = is_distinct
        lengths = self._lengths.setdefault(form[:MIN_LENGTH], [])
        if len(form) not in lengths:
            lengths.append(len(form))
            lengths.sort(reverse=True)

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the spans of the secrets in `text`, in order, including pieces of long ones."""
        if not self._forms or len(text) < MIN_LENGTH:
            return
        done = 0
        for start in self._starts(text):
            if start < done:
                continue
            end = self._end_of_form(text, start) or self._end_of_piece(text, start)
            if end:
                yield start, end
                done = end

    def _starts(self, text: str) -> list[int]:
        """Return the positions where a form or a piece may start, in order."""
        prefixes = {*self._lengths, *self._pieces}
        starts: list[int] = []
        if len(prefixes) > _MAX_SEPARATE_SEARCHES:
            for start in range(len(text) - MIN_LENGTH + 1):
                if text[start : start + MIN_LENGTH] in prefixes:
                    starts.append(start)
            return starts
        for prefix in prefixes:
            start = text.find(prefix)
            while start >= 0:
                starts.append(start)
                start = text.find(prefix, start + 1)
        return sorted(starts)

    def _end_of_form(self, text: str, start: int) -> int:
        """Return the end of the longest form that starts at `start`; 0 if none does."""
        for length in self._lengths.get(text[start : start + MIN_LENGTH], ()):
            end = start + length
            is_distinct = self._forms.get(text[start:end])
            if is_distinct is None:
                continue
            if is_distinct or _stands_apart(text, start, end):
                return end
        return 0

    def _end_of_piece(self, text: str, start: int) -> int:
        """Return the end of a piece of a long secret: a text may show only its end."""
        last = start
        while text[last : last + MIN_LENGTH] in self._pieces:
            last += 1
        end = last + MIN_LENGTH - 1
        if last == start or text[start:end].isalpha():
            return 0  # letters alone are words that a name in the secret has, too
        is_long = end - start >= _MIN_PIECE_IN_WORD
        if is_long or _stands_apart(text, start, end) or is_random(text[start:end]):
            return end
        return 0


def hide_spans(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with the spans hidden; touching spans are merged, line breaks are kept."""
    pieces: list[str] = []
    done = 0
    for start, end in _merged(spans):
        pieces += [text[done:start], REDACTED, *_LINE_BREAK.findall(text, start, end)]
        done = end
    return "".join([*pieces, text[done:]])


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        last_start, last_end = merged[-1] if merged else (0, -1)
        if start <= last_end:
            merged[-1] = last_start, max(last_end, end)
        else:
            merged.append((start, end))
    return merged


def _stands_apart(text: str, start: int, end: int) -> bool:
    """Return whether no word touches the span."""
    return not is_word_character(text, start - 1) and not is_word_character(text, end)


def _forms(value: str, *, encode: bool) -> Iterator[tuple[str, bool]]:
    """Yield the forms of a value, and whether each is distinct enough to count inside a word."""
    is_distinct = len(value) >= 10 and is_random(value)
    yield value, is_distinct
    if not value.isalnum():
        for form in _escaped_forms(value):
            if form != value:
                yield form, is_distinct
    if encode and (is_distinct or len(value) >= 16):
        for form in _base64_forms(value.encode("utf-8", "surrogatepass")):
            yield form, True


def _escaped_forms(value: str) -> Iterator[str]:
    for literal in (repr(value)[1:-1], json.dumps(value)[1:-1]):
        yield literal
        yield literal.replace("\\", "\\\\")
    yield value.encode("ascii", "backslashreplace").decode()
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield html.escape(value)
    yield html.escape(value, quote=False)


def _base64_forms(value: bytes) -> Iterator[str]:
    """Yield the base64 of a value, alone and as the stable part within a longer text."""
    forms = [base64.b64encode(value).decode().rstrip("=")]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value).decode()
        # The first and last groups of four also encode what stands around the value.
        if shift:
            encoded = encoded[4:]
        if (len(value) + shift) % 3:
            encoded = encoded[:-4]
        if len(encoded) >= 12:
            forms.append(encoded)
    for form in forms:
        yield form
        if "+" in form or "/" in form:
            yield form.replace("+", "-").replace("/", "_")
