"""Every text in a value changed at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

Value = TypeVar("Value")


def with_texts(value: Value, change: Callable[[str], str]) -> Value:
    """`value`, one of those below, a text or a tuple, with `change` made to every text in it; mappings stay."""
    if isinstance(value, str):
        changed: Any = value if isinstance(value, StrEnum) else change(value)
    elif isinstance(value, tuple):
        changed = tuple(with_texts(part, change) for part in value)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {
            entry.name: with_texts(getattr(value, entry.name), change) for entry in fields(value)
        }
        changed = replace(value, **parts)
    else:
        changed = value
    return changed  # type: ignore[no-any-return]
