"""Typed messages between processes: frozen dataclasses, one JSON line each.

A line is an object with one entry, the class of the message and its fields:
`{"Verdict": {"number": 3, "outcome": "passes"}}`. Define the messages as frozen
dataclasses beside the code that exchanges them, write them with `encode`, and read
them with `decode`, which takes the classes that are expected:

    match decode(line, (Verdict, Done)):
        case Verdict(number=number): ...

The other process runs tests, which may write anything anywhere. Anything that is not
one of the expected messages, with fields of the declared types, is Malformed, and
nothing here blocks on a pipe that has replaced a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    BinaryIO,
    Literal,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

M = TypeVar("M")

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

# Do not follow symbolic links, and do not block on opening a pipe.
OPEN_REGULAR = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


class Malformed(ValueError):
    """The message does not have the expected form."""


# --- messages ---


def encode(message: object) -> bytes:
    """Return the line of a message, with its newline; `decode` lists the types of its fields."""
    line = json.dumps({type(message).__name__: message}, default=_plain)
    return line.encode() + b"\n"


def decode(line: bytes, kinds: tuple[type[M], ...]) -> M:
    """Return the message in a line, of one of the dataclasses `kinds`. Raises Malformed.

    Fields may be str, bool, int (up to the size of a line number), float, Path, StrEnum,
    Literal, dataclasses, tuples, frozensets and mappings of these, and `T | None`. Fields
    with a default may be missing.
    """
    try:
        # Python's JSON also knows NaN and Infinity.
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
        message = _checked(value, dict)
        for kind in kinds:
            if message.keys() == {kind.__name__}:
                decoded: M = parse_value(message[kind.__name__], kind)
                return decoded
    except (ValueError, RecursionError, MemoryError) as exc:
        raise Malformed(str(exc)) from exc
    raise Malformed("another message")


def read_messages(
    file: BinaryIO, kinds: tuple[type[M], ...], max_bytes: int = MAX_FILE
) -> Iterator[M]:
    """Yield the messages at the beginning of a file, one per line.

    Other lines are skipped, and so is an incomplete last line.
    """
    for line in _lines(file, max_bytes):
        with contextlib.suppress(Malformed):
            yield decode(line, kinds)


def shown_text(text: str) -> str:
    """Return a text that can be encoded, cut to the length shown in reports."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode("utf-8")


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a number")


def _plain(value: object) -> object:
    """Convert one value that JSON does not have; its parts are converted in turn."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    return vars(value)


# --- files ---


def read_regular(path: Path) -> bytes:
    """Return the content of a file. Raises OSError; Malformed if not regular or too large."""
    descriptor = os.open(path, os.O_RDONLY | OPEN_REGULAR)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        is_file = stat.S_ISREG(status.st_mode)
        if not is_file or status.st_size > MAX_LINE:
            raise Malformed("no file, or too large")
        return file.read(MAX_LINE)


class MessageFile:
    """Appends messages to an existing file, never to a replacement of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status = path.stat()

    def append(self, message: object) -> None:
        """Write one line. Never raises: if the file is gone, there is no reader."""
        line = memoryview(encode(message))
        flags = os.O_WRONLY | os.O_APPEND | OPEN_REGULAR
        with contextlib.suppress(OSError):
            # Reopened each time: a test may have closed all descriptors it does not know.
            descriptor = os.open(self._path, flags)
            try:
                while line and os.path.samestat(os.fstat(descriptor), self._status):
                    line = line[os.write(descriptor, line) :]
            finally:
                os.close(descriptor)


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yield the complete lines in the first bytes of a file, without those that are too long."""
    file.seek(0)
    is_start = True  # False for the rest of a line that is too long
    for _ in range(MAX_LINES):
        room = max(0, max_bytes - file.tell())
        piece = file.readline(min(MAX_LINE, room))
        if not piece:
            return
        is_end = piece.endswith(b"\n")
        if is_start and is_end:
            yield piece
        is_start = is_end


# --- fields ---


def parse_value(value: Any, kind: Any) -> Any:
    """Convert a JSON value to the type `kind`. Raises ValueError."""
    # Line numbers are the most frequent by far, so they come first.
    if kind is int:
        if 0 <= _checked(value, int) < MAX_NUMBER:
            return value
    elif kind is float:
        # An integer may have thousands of digits, too many for a float.
        is_number = type(value) in (int, float)
        if is_number and abs(value) < MAX_NUMBER:
            return float(value)
    elif kind in (str, bool):
        return _checked(value, kind)
    elif is_dataclass(kind):
        return _parse_fields(value, kind)
    elif isinstance(kind, type) and issubclass(kind, StrEnum | Path):
        return kind(_checked(value, str))
    else:
        return _parse_collection(value, kind)
    raise Malformed(f"no value of {kind}")


def _parse_collection(value: Any, kind: Any) -> Any:
    """Convert a JSON value to a generic type, a union with None, or a literal."""
    origin = get_origin(kind)
    arguments = get_args(kind)
    if origin is Mapping:
        _, value_kind = arguments
        entries = _checked(value, dict)
        return {key: parse_value(entry, value_kind) for key, entry in entries.items()}
    if origin is frozenset or (origin is tuple and arguments[-1] is Ellipsis):
        entry_kind = arguments[0]
        return origin(parse_value(entry, entry_kind) for entry in _checked(value, list))
    if origin is tuple:
        return _parse_tuple(value, arguments)
    if origin is UnionType:
        return None if value is None else parse_value(value, arguments[0])
    if origin is Literal and value in arguments:
        return value
    raise Malformed(f"no value of {kind}")


def _parse_tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    entries = _checked(value, list)
    if len(entries) != len(kinds):
        raise Malformed(f"not {len(kinds)} values")
    return tuple(map(parse_value, entries, kinds))


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Malformed(f"no {kind.__name__}")
    return value


def _parse_fields(value: Any, kind: Any) -> Any:
    types = _field_types(kind)
    entries = _checked(value, dict)
    if not _required(kind) <= entries.keys() <= types.keys():
        raise Malformed(f"not the fields of a {kind.__name__}")
    arguments = {name: parse_value(entry, types[name]) for name, entry in entries.items()}
    return kind(**arguments)


_field_types = cache(get_type_hints)


@cache
def _required(kind: Any) -> frozenset[str]:
    """Return the names of the fields without a default."""
    names = set()
    for entry in fields(kind):
        if entry.default is MISSING and entry.default_factory is MISSING:
            names.add(entry.name)
    return frozenset(names)
