"""Puts secrets back into code that a model wrote without seeing them."""

from __future__ import annotations

import re

from pytest_starcoder.assist.model_code import unify_newlines
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.redaction.redactor import REDACTED


def restore_secrets(code: str, redacted: str, text: str, model: str) -> str:
    """Return `code` with the secrets of `text` put back; the model only saw `redacted`.

    A value is restored after the same words as before. Raises UnreadableAnswer if it is unclear
    which value is meant.
    """
    if REDACTED not in code:
        return code
    hidden = _hidden_values(redacted, text)
    lines = []
    for line in code.split("\n"):
        restored, *pieces = line.split(REDACTED)
        for piece in pieces:
            values = hidden.get(restored.strip()) or set().union(*hidden.values())
            if len(values) != 1:
                raise UnreadableAnswer(
                    f"{model} wrote [redacted] where there was no secret before.",
                    "Choose lines without secrets, or change these by hand.",
                )
            restored += next(iter(values)) + piece
        lines.append(restored)
    return "\n".join(lines)


def _hidden_values(redacted: str, text: str) -> dict[str, set[str]]:
    """Return the values that are hidden in `redacted`, by the words before each."""
    hidden: dict[str, set[str]] = {}
    redacted_lines = unify_newlines(redacted).split("\n")
    for shown, line in zip(redacted_lines, unify_newlines(text).split("\n"), strict=True):
        parts = shown.split(REDACTED)
        values = re.fullmatch("(.*?)".join(map(re.escape, parts)), line)
        if len(parts) == 1 or values is None:
            continue
        before = ""
        for part, value in zip(parts, values.groups(), strict=False):
            before += part
            hidden.setdefault(before.strip(), set()).add(value)
            before += value
    return hidden
