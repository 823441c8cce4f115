"""Removes secrets from everything that is sent, cached or reported.

Secrets are recognized by the names they are given, by the formats of services, by their place in a
URL, and by having been seen before. The number of lines never changes, and the time needed grows
linearly with the text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from pytest_starcoder.redaction.columns import argument_spans, find_functions
from pytest_starcoder.redaction.known_secrets import KnownSecrets, hide_spans
from pytest_starcoder.redaction.literals import Span
from pytest_starcoder.redaction.named_values import named_spans
from pytest_starcoder.redaction.secret_names import Naming, is_secret_name
from pytest_starcoder.redaction.secret_values import MIN_LENGTH, REDACTED, may_spread
from pytest_starcoder.redaction.token_formats import has_token, token_spans

__all__ = ["REDACTED", "Redactor", "has_token", "is_secret_name", "redact", "secret_values"]

_MAX_PASSES = 4
"""Maximum passes over a text: hiding one value may leave another beside a secret name."""

_LARGE_TEXT = 100_000
"""Length from which a text is searched only once."""

_MAX_VALUE = 10_000


class Redactor:
    """Removes secrets from the texts of one run; a secret in one text is hidden in all later ones.

    `values` are secret from the start.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._secrets = KnownSecrets()
        self._functions: dict[str, tuple[Naming, ...]] = {}
        self.add(values)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Redactor:
        """Return a redactor that knows the secrets of the environment, or of `variables`."""
        return cls(secret_values(os.environ if variables is None else variables))

    def add(self, values: Iterable[str]) -> None:
        """Add values to hide wherever they occur."""
        self._secrets.add(values)

    def learn(self, text: str) -> None:
        """Learn the secrets in `text`, for texts that are redacted later."""
        self._learn_spans(text)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values to hide wherever they occur."""
        return tuple(self._secrets)

    def redact(self, text: str) -> str:
        """Return `text` without its secrets and those of earlier texts."""
        for _ in range(_MAX_PASSES if len(text) < _LARGE_TEXT else 1):
            spans = self._learn_spans(text)
            clean = hide_spans(text, [*spans, *self._secrets.spans(text)])
            if clean == text:
                break
            text = clean
        return text

    def _learn_spans(self, text: str) -> list[Span]:
        """Return the spans of the secrets in `text`, and remember the secrets."""
        spans, functions = _search(text)
        self._functions.update(functions)
        all_spans = [*spans, *argument_spans(text, self._functions)]
        values = {text[start:end] for start, end in all_spans}
        self._secrets.add(value for value in values if may_spread(value))
        return all_spans


def redact(text: str, values: Iterable[str] = ()) -> str:
    """Return `text` without secrets; those of `values` with 8 characters are hidden anywhere.

    A value under a secret name is a secret if it is quoted, stands in a name's own place, or
    cannot be an expression: the code `password = get_password()` stays as it is.
    """
    return Redactor(values).redact(text)


def secret_values(variables: Mapping[str, object]) -> Iterator[str]:
    """Yield strings of 8 or more characters under secret-looking names, also in dicts."""
    for name, value in list(variables.items()):
        if not isinstance(name, str):
            continue
        # Only plain dicts, one level deep: reading a lazy mapping would run the user's code.
        if type(value) is dict:
            entries = {}
            for key, entry in list(value.items())[:200]:
                if type(entry) is not dict:
                    entries[key] = entry
            yield from secret_values(entries)
        elif is_secret_name(name):
            yield from _secret_text(value)


def _secret_text(value: object) -> Iterator[str]:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(text, str) and MIN_LENGTH <= len(text) <= _MAX_VALUE and not text.isdigit():
        yield str(text)  # the user's subclass of str may have methods of its own


@lru_cache(64)
def _search(text: str) -> tuple[tuple[Span, ...], dict[str, tuple[Naming, ...]]]:
    """Return the spans of the secrets in `text`, and its functions that take secrets."""
    return (*token_spans(text), *named_spans(text)), find_functions(text)
