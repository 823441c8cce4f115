"""Secrets are taken out of what is sent, cached or reported: text in, the same text with `[redacted]` in their place.

Found by the names that they are given, by the shapes that services give their
tokens, by their place in a URL, and where one is known already. The number of
lines never changes, and time grows with the text alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from pytest_starcoder.redaction.known_secrets import KnownSecrets, Span, without
from pytest_starcoder.redaction.secret_names import Naming, is_secret_name
from pytest_starcoder.redaction.secret_places import named_spans, passed_spans, signatures
from pytest_starcoder.redaction.secret_shapes import has_shape, shape_spans
from pytest_starcoder.redaction.secret_values import REDACTED, SHORTEST, may_spread

__all__ = [
    "REDACTED",
    "SHORTEST",
    "Redactor",
    "has_token",
    "is_secret_name",
    "redact",
    "secret_values",
]

_ROUNDS = 4
"""Maximum passes over a text: hiding one value may leave another beside a secret name."""

_LARGE = 100_000
"""Length from which a text is searched only once."""


class Redactor:
    """Removes secrets from the texts of one run; a secret in one text is hidden in all later ones.

    `known` are values that are secret from the start.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = KnownSecrets()
        self._functions: dict[str, tuple[Naming, ...]] = {}
        self.add(known)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Redactor:
        """Return a redactor that knows the secrets of the environment, or of `variables`."""
        return cls(secret_values(os.environ if variables is None else variables))

    def add(self, values: Iterable[str]) -> None:
        """Add values to hide wherever they occur."""
        self._known.add(values)

    def learn(self, text: str) -> None:
        """Learn the secrets in `text`, for texts that are redacted later."""
        self._spans(text)

    @property
    def known(self) -> tuple[str, ...]:
        """The values to hide wherever they occur."""
        return tuple(self._known)

    def redact(self, text: str) -> str:
        """Return `text` without its secrets and those of earlier texts."""
        for _ in range(_ROUNDS if len(text) < _LARGE else 1):
            spans = self._spans(text)
            clean = without(text, [*spans, *self._known.spans(text)])
            if clean == text:
                break
            text = clean
        return text

    def _spans(self, text: str) -> list[Span]:
        """Return the spans of the secrets in `text`, and remember them."""
        spans, functions = _look(text)
        self._functions.update(functions)
        found = [*spans, *passed_spans(text, self._functions)]
        values = {text[start:end] for start, end in found}
        self._known.add(value for value in values if may_spread(value))
        return found


def redact(text: str, known: Iterable[str] = ()) -> str:
    """`text` without secrets; those of `known` that have 8 characters are secret wherever they stand.

    A value is a secret by its name where it is quoted, in a name's own place,
    or where nothing in a program's syntax could stand there unquoted: the code
    `password = get_password()` stays as it is.
    """
    return Redactor(known).redact(text)


def has_token(text: str) -> bool:
    """Whether something in `text` has the shape that a service gives its tokens, or begins a private key."""
    return has_shape(text)


def secret_values(named: Mapping[str, object]) -> Iterator[str]:
    """Yield strings of 8 or more characters under secret-looking names, also in dicts."""
    for name, value in list(named.items()):
        if not isinstance(name, str):
            continue
        if type(value) is dict:
            yield from secret_values(
                {key: inner for key, inner in list(value.items())[:200] if type(inner) is not dict}
            )
        elif is_secret_name(name):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and SHORTEST <= len(text) <= 10_000 and not text.isdigit():
                yield str(text)


@lru_cache(64)
def _look(text: str) -> tuple[tuple[Span, ...], dict[str, tuple[Naming, ...]]]:
    """Return the spans of the secrets in `text`, and its functions that take secrets."""
    spans = [span for span, _ in shape_spans(text)]
    return (*spans, *named_spans(text)), signatures(text)
