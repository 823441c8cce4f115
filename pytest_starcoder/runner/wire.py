"""Reads what another process has written: never more than fits, and checked before it is used.

That process runs tests, which may write anything anywhere. So whatever does not
parse into the expected type is dropped, and nothing here waits for a pipe that
has taken the place of a file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, get_args, get_origin, get_type_hints

MAX_LINE = 8 << 20
"""Bytes of one line. Parsed, `[[],[],…]` takes some twenty times that."""

MAX_FILE = 16 << 20
"""Bytes that are read of one file, if nobody expects more."""

MAX_LINES = 100_000
"""Lines that are read of one file: empty ones cost time as well."""

MAX_NUMBER = 1 << 31
"""Line numbers and counts are smaller."""

MAX_TEXT = 4000
"""Characters of a text that a report shows; what writes it in good faith writes less."""

NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Open neither what a symbolic link points to, nor a pipe that makes whoever opens it wait."""


class Malformed(ValueError):
    """What was read is not what was expected."""


# --- lines and files ---


def message_of(line: bytes) -> dict[str, Any]:
    """Return the JSON object that stands in a line. Raises Malformed."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError, MemoryError) as exc:
        raise Malformed("no JSON") from exc
    if not isinstance(value, dict):
        raise Malformed("no JSON object")
    return value


def messages_in(file: BinaryIO, end: int = MAX_FILE) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a file, one a line, up to its byte `end`; other lines are skipped.

    So is a last line that was being written.
    """
    file.seek(0)
    complete = True  # whether a line begins here, and not within one that is too long
    for _ in range(MAX_LINES):
        if file.tell() >= end:
            return
        piece = file.readline(min(MAX_LINE, end - file.tell()))
        if not piece:
            return
        ends_here = piece.endswith(b"\n")
        if complete and ends_here:
            with contextlib.suppress(Malformed):
                yield message_of(piece)
        complete = ends_here


def read_regular(path: Path) -> bytes:
    """Return what is in a file, unless it is none, or too large. Raises OSError or Malformed."""
    descriptor = os.open(path, os.O_RDONLY | NOT_FOLLOWED)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_LINE:
            raise Malformed("no file, or too large")
        return file.read(MAX_LINE)


class LineFile:
    """Appends lines of JSON to a file that is there, never to what has taken its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path.stat())

    def append(self, message: Mapping[str, Any]) -> None:
        """Write one line. Nothing is raised: where the file is gone nobody reads it."""
        line = memoryview(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(OSError):
            # Opened anew each time: a test may have closed every descriptor that it did not know.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | NOT_FOLLOWED)
            try:
                while line and _identity(os.fstat(descriptor)) == self._identity:
                    line = line[os.write(descriptor, line) :]
            finally:
                os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is no number")


# --- values ---


def parsed(value: Any, kind: Any) -> Any:
    """Return what JSON holds as a value of the type `kind`. Raises Malformed.

    Known are str, bool, int (of a line number's size), float, dataclasses, and
    tuples, frozensets and mappings of such.
    """
    if kind in (str, bool):
        return _checked(value, kind)
    if kind is int:
        return _whole(value)
    if kind is float:
        return _finite(value)
    if is_dataclass(kind):
        return _record(value, kind)
    arguments = get_args(kind)
    origin = get_origin(kind)
    if origin is frozenset:
        return frozenset(parsed(entry, arguments[0]) for entry in _checked(value, list))
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(parsed(entry, arguments[0]) for entry in _checked(value, list))
    if origin is tuple:
        entries = _checked(value, list)
        if len(entries) != len(arguments):
            raise Malformed(f"{len(entries)} entries instead of {len(arguments)}")
        return tuple(parsed(entry, part) for entry, part in zip(entries, arguments, strict=True))
    if origin is Mapping:
        return {key: parsed(entry, arguments[1]) for key, entry in _checked(value, dict).items()}
    raise TypeError(f"{kind} is not known here")


def shown_text(text: str) -> str:
    """Return a text that can be encoded, and is no longer than what a report shows."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode("utf-8")


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Malformed(f"{type(value).__name__} instead of {kind.__name__}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise Malformed("no line number")
    return value


def _finite(value: Any) -> float:
    # A whole number may have thousands of digits, which no float can hold.
    if type(value) not in (int, float) or not abs(value) < MAX_NUMBER or not math.isfinite(value):
        raise Malformed("no number of seconds")
    return float(value)


def _record(value: Any, kind: Any) -> Any:
    kinds = _kinds(kind)
    needed, entries = _needed(kind), _checked(value, dict)
    if not needed <= entries.keys() <= kinds.keys():
        raise Malformed(f"not the fields of a {kind.__name__}")
    return kind(**{name: parsed(entry, kinds[name]) for name, entry in entries.items()})


@cache
def _kinds(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _needed(kind: Any) -> frozenset[str]:
    """The names of the fields without a default."""
    return frozenset(
        entry.name for entry in fields(kind) if entry.default is MISSING and entry.default_factory is MISSING
    )
