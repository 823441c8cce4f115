"""Recognizes arrays, series and frames without importing NumPy or pandas."""

from __future__ import annotations

from itertools import islice
from typing import Any

MAX_ROWS = 13
"""Maximum number of rows and of columns: one more than `short_repr` shows."""


def table_kind(value: object) -> str:
    """Return 'array', 'series' or 'frame'; empty for any other value."""
    kind = type(value)
    package = str(kind.__module__).partition(".")[0]
    if package == "numpy" and kind.__name__ == "ndarray":
        return "array"
    if package == "pandas" and kind.__name__ in ("Series", "DataFrame"):
        return {"Series": "series", "DataFrame": "frame"}[kind.__name__]
    if package == "pandas" and kind.__name__.endswith("Index"):
        return "array"
    return ""


def frame_items(frame: Any) -> dict[Any, Any]:
    """Return the first values of each column of a frame."""
    columns = {}
    for number, name in enumerate(islice(frame.columns, MAX_ROWS)):
        columns[name] = frame.iloc[:MAX_ROWS, number].tolist()
    return columns


def index_items(table: Any) -> list[Any]:
    """Return the first row labels; empty if the rows are only numbered."""
    if type(table.index).__name__ == "RangeIndex" and table.index.start == 0:
        return []
    items: list[Any] = table.index[:MAX_ROWS].tolist()
    return items
