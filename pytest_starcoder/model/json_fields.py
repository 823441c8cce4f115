"""Reads values from JSON of untrusted origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

Value = TypeVar("Value")


def int_field(fields: Mapping[str, Any], key: str) -> int:
    """Return the integer under `key`; 0 if there is none."""
    value = fields.get(key)
    return value if isinstance(value, int) else 0


def dict_field(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the object under `key`; empty if there is none."""
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def dicts_field(fields: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in the list under `key`; empty if there is none."""
    values = fields.get(key)
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def from_fields(kind: type[Value], fields: Any) -> Value:
    """Build the dataclass `kind` from `fields`. Raises ValueError for wrong fields or types."""
    hints = get_type_hints(kind)
    if not isinstance(fields, dict) or not fields.keys() <= hints.keys():
        raise ValueError(f"these are not the fields of {kind.__name__}")
    for name, value in fields.items():
        # JSON may have 1 for 1.0.
        expected = int | float if hints[name] is float else hints[name]
        if not isinstance(value, expected):
            raise ValueError(f"{name} has the wrong type")
    try:
        return kind(**fields)
    except TypeError as exc:
        raise ValueError(f"a field of {kind.__name__} is missing") from exc
