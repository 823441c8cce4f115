"""Reads messages of another process: limited in size, and validated before use.

That process runs tests, which may write anything anywhere. So anything that does
not parse into the expected type is dropped, and nothing here blocks on a pipe that
has replaced a file.
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
"""Maximum bytes of one line. Parsed, `[[],[],…]` takes about twenty times as much."""

MAX_FILE = 16 << 20
"""Default maximum bytes to read of one file."""

MAX_LINES = 100_000
"""Maximum lines to read of one file: even empty ones cost time."""

MAX_NUMBER = 1 << 31
"""Upper bound of line numbers and counts."""

MAX_TEXT = 4000
"""Maximum characters of a text shown in a report; honest writers use fewer."""

NOT_FOLLOWED = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
"""Do not follow symbolic links, and do not block on opening a pipe."""


class Malformed(ValueError):
    """The message does not have the expected form."""


# --- lines and files ---


def message_of(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line. Raises Malformed."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError, MemoryError) as exc:
        raise Malformed("no JSON") from exc
    if not isinstance(value, dict):
        raise Malformed("no JSON object")
    return value


def messages_in(file: BinaryIO, end: int = MAX_FILE) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a file, one per line, up to its byte `end`.

    Other lines are skipped, and so is an incomplete last line.
    """
    file.seek(0)
    complete = True  # whether a new line begins here, not the rest of one that is too long
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
    """Return the content of a file. Raises OSError; Malformed if not regular or too large."""
    descriptor = os.open(path, os.O_RDONLY | NOT_FOLLOWED)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_LINE:
            raise Malformed("no file, or too large")
        return file.read(MAX_LINE)


class LineFile:
    """Appends lines of JSON to an existing file, never to a replacement of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path.stat())

    def append(self, message: Mapping[str, Any]) -> None:
        """Write one line. Never raises: if the file is gone, there is no reader."""
        line = memoryview(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(OSError):
            # Reopened each time: a test may have closed all descriptors it does not know.
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
    """Convert a JSON value to the type `kind`. Raises Malformed.

    Supports str, bool, int (up to the size of a line number), float, dataclasses,
    and tuples, frozensets and mappings of these.
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
    """Return a text that can be encoded, cut to the length shown in reports."""
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
    # An integer may have thousands of digits, too many for a float.
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
    """Return the names of the fields without a default."""
    return frozenset(
        entry.name
        for entry in fields(kind)
        if entry.default is MISSING and entry.default_factory is MISSING
    )
