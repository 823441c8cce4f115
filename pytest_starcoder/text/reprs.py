"""Values as bounded texts, and which files are shown at all: the project's own."""

from __future__ import annotations

import re
import reprlib

from pytest_starcoder.text.display import one_line


def short_repr(value: object) -> str:
    """`repr(value)` on one line of at most some 200 characters, whatever it raises and however large it is."""
    short = _Repr()
    short.maxstring = short.maxother = short.maxlong = 100
    short.maxdict = short.maxlist = short.maxtuple = short.maxset = 12
    try:
        return one_line(ADDRESS.sub("", short.repr(value)), 240)
    except Exception as exc:  # noqa: BLE001 - reprlib goes by names: somebody's class `list` need not be one
        return f"<{type(value).__name__} whose repr raises {type(exc).__name__}>"


ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]{4,}")
"""Where an object lies in memory: another place in every run, and every prompt with it another prompt."""


class _Repr(reprlib.Repr):
    """`reprlib`, but for what it says of an object whose `__repr__` raises."""

    def repr_instance(self, x: object, level: int) -> str:
        try:
            text = repr(x)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - somebody's __repr__ may raise anything
            return f"<{type(x).__name__} whose repr raises {type(exc).__name__}>"
        half = self.maxother // 2
        return text if len(text) <= self.maxother else f"{text[:half]}...{text[-half:]}"
