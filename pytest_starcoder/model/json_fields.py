"""Restores values from JSON of untrusted origin."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

Value = TypeVar("Value")


def from_fields(kind: type[Value], fields: Any) -> Value:
    """Build the dataclass `kind` from `fields`. Raises ValueError for wrong fields or types."""
    hints = get_type_hints(kind)
    if not isinstance(fields, dict) or not fields.keys() <= hints.keys():
        raise ValueError(f"these are not the fields of {kind.__name__}")
    for name, value in fields.items():
        wanted = int | float if hints[name] is float else hints[name]  # JSON may have 1 for 1.0
        if not isinstance(value, wanted):
            raise ValueError(f"{name} has the wrong type")
    try:
        return kind(**fields)
    except TypeError as exc:
        raise ValueError(f"a field of {kind.__name__} is missing") from exc
