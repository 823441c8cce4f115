"""Changes every text in a value at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

Value = TypeVar("Value")


def with_texts(value: Value, change: Callable[[str], str]) -> Value:
    """Return a dataclass, tuple or text with `change` applied to every text in it.

    Values of other types, mappings among them, stay as they are.
    """
    changed: Any = value
    if isinstance(value, str):
        changed = value if isinstance(value, StrEnum) else change(value)
    elif isinstance(value, tuple):
        changed = tuple(with_texts(part, change) for part in value)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {}
        for entry in fields(value):
            parts[entry.name] = with_texts(getattr(value, entry.name), change)
        changed = replace(value, **parts)
    return changed  # type: ignore[no-any-return]
