"""Describes how two arrays, series or frames differ: shape, labels, types and one cell.

Only objects whose class belongs to NumPy or pandas are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any

from pytest_starcoder.explain.equality import Pair
from pytest_starcoder.explain.similar_names import nearest_key
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.reprs import short_repr
from pytest_starcoder.text.tables import table_kind

MAX_CELLS = 500_000
"""Maximum number of cells that are compared."""

Cell = tuple[Any, Any, Any]
"""The place of a cell, its actual and its expected value."""


def column_names(value: Any) -> list[Any]:
    """Return the columns of a frame or the labels of a series."""
    kind = table_kind(value)
    if kind == "frame":
        return list(islice(value.columns, MAX_CELLS))
    return list(islice(value.index, MAX_CELLS)) if kind == "series" else []


def as_lists(value: Any) -> Any:
    """Return the items of a small array or series as nested lists; other values unchanged."""
    if table_kind(value) in ("array", "series") and value.size <= MAX_CELLS:
        return value.tolist()
    return value


def compare_tables(pair: Pair) -> Iterator[str]:
    """Yield sentences on two tables; none if they are of different kinds."""
    kind = table_kind(pair.actual)
    if kind != table_kind(pair.expected):
        return
    if kind == "frame":
        yield from _compare_frames(pair)
    elif kind == "series":
        yield from _compare_series(pair)
    else:
        yield from _compare_arrays(pair)


def _compare_arrays(pair: Pair) -> Iterator[str]:
    actual, expected = pair.actual, pair.expected
    if actual.shape != expected.shape:
        yield f"{pair.at}the shape is {actual.shape}, not {expected.shape}"
        return
    yield from _compare_dtypes(pair, pair.name, actual, expected)
    cells = zip(count(), _items(actual), _items(expected), strict=False)
    yield from _describe_cells(pair, cells, actual.size, lambda index: _place(index, actual.shape))


def _place(index: int, shape: Sequence[int]) -> str:
    """Return the indices of an item in an array, given its number."""
    indices: list[int] = []
    for length in reversed(shape):
        index, position = divmod(index, length)
        indices.insert(0, position)
    return str(indices) if indices else "the value"


def _compare_series(pair: Pair) -> Iterator[str]:
    actual, expected = pair.actual, pair.expected
    if len(actual) != len(expected):
        yield f"{pair.at}{counted(len(actual), 'value')} instead of {len(expected)}"
    yield from _compare_labels(pair, "index", actual.index, expected.index)
    yield from _compare_dtypes(pair, pair.name, actual, expected)
    if len(actual) != len(expected):
        return
    cells = zip(count(), _items(actual), _items(expected), strict=False)
    yield from _describe_cells(pair, cells, len(actual), lambda row: f"[{_label(actual, row)}]")
    if actual.name != expected.name:
        yield f"{pair.at}the name is {short_repr(actual.name)}, not {short_repr(expected.name)}"


def _compare_frames(pair: Pair) -> Iterator[str]:
    actual, expected = pair.actual, pair.expected
    columns, expected_columns = list(actual.columns), list(expected.columns)
    yield from _compare_columns(pair, columns, expected_columns)
    if len(actual) != len(expected):
        yield f"{pair.at}{counted(len(actual), 'row')} instead of {len(expected)}"
    yield from _compare_labels(pair, "index", actual.index, expected.index)
    if columns != expected_columns or len(actual) != len(expected):
        return
    for number, name in enumerate(columns):
        # By position, because names may occur twice.
        column, expected_column = actual.iloc[:, number], expected.iloc[:, number]
        title = f"the column {short_repr(name)}"
        yield from _compare_dtypes(pair, title, column, expected_column)
    cells = _frame_cells(actual, expected)
    yield from _describe_cells(pair, cells, actual.size, lambda place: _cell_name(actual, *place))


def _frame_cells(actual: Any, expected: Any) -> Iterator[Cell]:
    for number, name in enumerate(actual.columns):
        column = _items(actual.iloc[:, number])
        expected_column = _items(expected.iloc[:, number])
        for row, values in enumerate(zip(column, expected_column, strict=False)):
            yield (row, name), *values


def _cell_name(frame: Any, row: int, column: Any) -> str:
    return f".loc[{_label(frame, row)}, {short_repr(column)}]"


def _label(table: Any, row: int) -> str:
    """Return the label of a row; too slow to be called for every row."""
    return short_repr(table.index[row])


def _compare_columns(pair: Pair, actual: list[Any], expected: list[Any]) -> Iterator[str]:
    missing = [name for name in expected if name not in actual]
    extra = [name for name in actual if name not in expected]
    for name in missing[:2]:
        near = nearest_key(name, extra or actual)
        if not near and len(missing) == len(extra) == 1:
            near = short_repr(extra[0])
        hint = f"; there is {near}" if near else ""
        yield f"{pair.at}the column {short_repr(name)} is missing{hint}"
    if extra and not missing:
        yield f"{pair.at}the column {short_repr(extra[0])} is unexpected"
    if not missing and not extra and actual != expected:
        yield f"{pair.at}the same columns in a different order: {short_repr(actual)}"


def _compare_labels(pair: Pair, title: str, actual: Any, expected: Any) -> Iterator[str]:
    if actual.equals(expected):  # pandas compares millions of labels at once
        return
    for number, (label, expected_label) in enumerate(zip(actual, expected, strict=False)):
        if pair.differs(label, expected_label):
            place = f"{title}[{number}]"
            yield f"{pair.at}{place} is {short_repr(label)}, not {short_repr(expected_label)}"
            return


def _compare_dtypes(pair: Pair, title: str, actual: Any, expected: Any) -> Iterator[str]:
    # Different categories may print alike.
    if str(actual.dtype) != str(expected.dtype):
        start = "" if title == pair.name else pair.at
        yield f"{start}{title} has the dtype {actual.dtype}, not {expected.dtype}"


def _items(table: Any) -> list[Any]:
    """Return the items of an array or a series as Python values."""
    if table.shape == ():
        return [table.item()]
    if len(table.shape) > 1:
        # Only the first rows, because flattening may copy the whole array.
        width = max(1, table.size // max(1, len(table)))
        table = table[: max(1, MAX_CELLS // width)].reshape(-1)
    items: list[Any] = table[:MAX_CELLS].tolist()
    return items


def _describe_cells(
    pair: Pair, cells: Iterator[Cell], size: int, name: Callable[[Any], str]
) -> Iterator[str]:
    """Yield the cell that differs most, and how many differ; `name` names the cell at a place."""
    number, nans = 0, 0
    worst: Cell | None = None
    greatest = -1.0
    for place, actual, expected in islice(cells, MAX_CELLS):
        if _is_nan(actual) and _is_nan(expected):
            nans += 1
        elif pair.differs(actual, expected):
            number += 1
            distance = _distance(actual, expected)
            # Small differences may be within a tolerance that is not known here.
            if distance > greatest:
                worst, greatest = (place, actual, expected), distance
    if worst is not None:
        place, actual, expected = worst
        yield f"{pair.place}{name(place)} is {short_repr(actual)}, not {short_repr(expected)}"
    if number > 1 and size <= MAX_CELLS:
        yield f"{pair.at}{number} of {size} values differ"
    if nans and not number:
        yield f"{pair.at}{counted(nans, 'value')} of both are NaN, which equals nothing"


def _is_nan(value: object) -> bool:
    return type(value) is float and math.isnan(value)


def _distance(actual: Any, expected: Any) -> float:
    """Return the relative difference of two floats; 0 for other values."""
    if type(actual) is not float or type(expected) is not float:
        return 0.0
    if not (math.isfinite(actual) and math.isfinite(expected)):
        return math.inf
    return abs(actual - expected) / max(abs(actual), abs(expected))
