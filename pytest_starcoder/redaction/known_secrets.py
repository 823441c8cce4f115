"""Finds known secrets in a text, in time that does not depend on their number."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from pytest_starcoder.redaction.patterns import lazily
from pytest_starcoder.redaction.secret_values import REDACTED, SHORTEST, is_random

Span = tuple[int, int]

LONG = 24
"""Minimum length of a secret that is also matched in parts."""

LONGEST = 10_000
"""Maximum length of a secret; longer values are documents."""

_WHOLE = 16
"""Minimum length of a piece that counts even if it touches a word."""


_ENCODED = 1000
"""Values up to which each is also looked for in base64: who has more has a list, and no text that encodes them."""

_FEW = 300
"""Number of prefixes that are searched one by one; with more, each position is looked up."""


class KnownSecrets:
    """Values that are secret in any text, in every form in which a text may show them.

    Forms are found by their first characters, so one pass over a text finds them all.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._forms: dict[str, bool] = {}
        self._lengths: dict[str, list[int]] = {}
        self._pieces: set[str] = set()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def add(self, values: Iterable[str]) -> None:
        """Add the values that are long enough."""
        for value in values:
            if value in self._values or not SHORTEST <= len(value) <= LONGEST or REDACTED in value:
                continue
            self._values.add(value)
            for form, anywhere in _forms(value, encoded=len(self._values) <= _ENCODED):
                self._add_form(form, anywhere)
            if len(value) >= LONG:
                self._pieces.update(
                    value[at : at + SHORTEST] for at in range(len(value) - SHORTEST + 1)
                )

    def _add_form(self, form: str, anywhere: bool) -> None:
        if len(form) < SHORTEST or form in self._forms:
            return
        self._forms[form] = anywhere
        lengths = self._lengths.setdefault(form[:SHORTEST], [])
        if len(form) not in lengths:
            lengths.append(len(form))
            lengths.sort(reverse=True)

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the spans of the secrets in `text`, in order, including pieces of long ones."""
        if not self._forms or len(text) < SHORTEST:
            return
        done = 0
        for at in self._hits(text):
            if at < done:
                continue
            end = self._form_at(text, at) or self._piece_at(text, at)
            if end:
                yield at, end
                done = end

    def _hits(self, text: str) -> list[int]:
        """Return the positions where a form or a piece may start, in order."""
        grams = {*self._lengths, *self._pieces}
        if len(grams) > _FEW:
            return [
                at for at in range(len(text) - SHORTEST + 1) if text[at : at + SHORTEST] in grams
            ]
        found: list[int] = []
        for gram in grams:
            at = text.find(gram)
            while at >= 0:
                found.append(at)
                at = text.find(gram, at + 1)
        return sorted(found)

    def _form_at(self, text: str, at: int) -> int:
        """Return the end of the longest form that starts at `at`; 0 if none does."""
        for length in self._lengths.get(text[at : at + SHORTEST], ()):
            anywhere = self._forms.get(text[at : at + length])
            if anywhere is None:
                continue
            end = at + length
            if anywhere or not (_is_word(text, at - 1) or _is_word(text, end)):
                return end
        return 0

    def _piece_at(self, text: str, at: int) -> int:
        """Return the end of a piece of a long secret at `at`: a text may show only its end."""
        last = at
        while text[last : last + SHORTEST] in self._pieces:
            last += 1
        if last == at:
            return 0
        end = last + SHORTEST - 1
        if text[at:end].isalpha():
            return 0  # words that a name in the secret has, too
        is_apart = not _is_word(text, at - 1) and not _is_word(text, end)
        counts_in_word = end - at >= _WHOLE or is_random(text[at:end])
        return end if is_apart or counts_in_word else 0


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


def _forms(value: str, *, encoded: bool) -> Iterator[tuple[str, bool]]:
    """Yield the forms of a value, in base64 too if `encoded`, and whether each counts inside a word."""
    random = len(value) >= 10 and is_random(value)
    yield value, random
    if not value.isalnum():
        shown = repr(value)[1:-1]
        written = json.dumps(value)[1:-1]
        for form in (
            shown,
            written,
            shown.replace("\\", "\\\\"),
            written.replace("\\", "\\\\"),
            _ascii(value),
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
            html.escape(value),
            html.escape(value, quote=False),
        ):
            if form != value:
                yield form, random
    if encoded and (random or len(value) >= 16):
        yield from ((form, True) for form in _in_base64(value.encode("utf-8", "surrogatepass")))


def _ascii(value: str) -> str:
    return value.encode("ascii", "backslashreplace").decode()


def _in_base64(encoded: bytes) -> Iterator[str]:
    """Yield the base64 of a value, alone and as the stable part within a longer text."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + encoded).decode()
        start = 4 if shift else 0
        end = len(text) - (4 if (len(encoded) + shift) % 3 else 0)
        forms = [text[start:end]] if end - start >= 12 else []
        if not shift:
            forms.append(text.rstrip("="))
        for form in forms:
            yield form
            if "+" in form or "/" in form:
                yield form.replace("+", "-").replace("/", "_")


_BREAK = lazily(r"\r?\n")


def without(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with the spans hidden; touching spans are merged, line breaks are kept."""
    pieces: list[str] = []
    done = 0
    for start, end in _merged(spans):
        pieces += [text[done:start], REDACTED, *_BREAK.findall(text, start, end)]
        done = end
    return "".join([*pieces, text[done:]])


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    last: Span | None = None
    for start, end in sorted(spans):
        if last is None or start > last[1]:
            if last is not None:
                yield last
            last = start, end
        else:
            last = last[0], max(last[1], end)
    if last is not None:
        yield last
