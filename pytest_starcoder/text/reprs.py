"""Texts of any value, also if its own methods raise."""

from __future__ import annotations

import os
import re
import reprlib
from typing import Any

from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.tables import MAX_ROWS, frame_items, index_items, table_kind

MAX_REPR = 240
"""Characters of a representation."""

MIN_VARIABLES = 4
"""Number of variables above which a dictionary that has them all is a copy of the environment."""

ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]{4,}|(?<=[\w']) id='\d{6,}'(?=[ >])")
"""An object's address in memory: it differs in every run, and would in every prompt."""


def short_repr(value: object) -> str:
    """Return `repr(value)` on one line, cut to about 200 characters. Never raises."""
    short = _Repr()
    short.maxstring = short.maxother = short.maxlong = 100
    short.maxdict = short.maxlist = short.maxtuple = short.maxset = 12
    try:
        text = short.repr(value)
    except Exception as exc:  # noqa: BLE001 - reprlib takes any class called `list` for a list
        return _failed_repr(value, exc)
    return one_line(ADDRESS.sub("", text), MAX_REPR)


def safe_str(value: object) -> str:
    """Return `str(value)`, or a placeholder if the user's `__str__` raises."""
    try:
        return str(value)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # noqa: BLE001 - a user's `__str__` may raise anything
        return f"<its str raises {type(exc).__name__}>"


class _Repr(reprlib.Repr):
    """`reprlib`, with another text for objects whose `__repr__` raises."""

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        # A copy of the environment, perhaps with additions, may hold any kind of secret.
        if len(x) >= len(os.environ) > MIN_VARIABLES and x.keys() >= set(os.environ):
            return "<the environment variables>"
        return super().repr_dict(x, level)

    def repr_instance(self, x: object, level: int) -> str:
        if type(x) is type(os.environ):
            return "<the environment variables>"
        try:
            text = repr(x)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - the user's __repr__ may raise anything
            return _failed_repr(x, exc)
        if len(text) <= self.maxother:
            return text
        half = self.maxother // 2
        return f"{text[:half]}...{text[-half:]}"

    # The repr of a table has several lines, which make no sense on one.

    def repr_DataFrame(self, x: Any, level: int) -> str:
        if table_kind(x) != "frame":
            return self.repr_instance(x, level)
        return self._call("DataFrame", frame_items(x), x, level)

    def repr_Series(self, x: Any, level: int) -> str:
        if table_kind(x) != "series":
            return self.repr_instance(x, level)
        return self._call("Series", x.iloc[:MAX_ROWS].tolist(), x, level)

    def _call(self, name: str, items: object, table: Any, level: int) -> str:
        """Return a constructor call that creates a table like this one."""
        labels = index_items(table)
        index = f", index={self.repr1(labels, level - 1)}" if labels else ""
        return f"{name}({self.repr1(items, level - 1)}{index})"


def _failed_repr(value: object, exc: BaseException) -> str:
    return f"<{type(value).__name__} whose repr raises {type(exc).__name__}>"
