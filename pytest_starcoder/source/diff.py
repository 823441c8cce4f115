"""Splits text into lines, writes unified diffs, and reads them and the paths in them."""

from __future__ import annotations

import difflib
import io
import re
from functools import cache
from typing import TYPE_CHECKING

from pytest_starcoder.interpreter import installed

if TYPE_CHECKING:
    from unidiff.patch import PatchSet

NO_NEWLINE = "\\ No newline at end of file\n"

_GIT_HEADER = ("diff --git ", "new file mode ", "deleted file mode ")

_ESCAPED_CONTROLS = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))


def split_lines(text: str) -> list[str]:
    """Split text into lines with their ends, where an editor does.

    Unlike `str.splitlines`, form feeds and Unicode separators end no line.
    """
    return list(io.StringIO(text, newline=""))


def make_diff(before: str, after: str, path: str) -> str:
    """Return the diff from `before` to `after` as git prints it; empty if they are equal."""
    old_lines, new_lines = _split_at_newlines(before), _split_at_newlines(after)
    lines = []
    for line in difflib.unified_diff(old_lines, new_lines, f"a/{path}", f"b/{path}"):
        lines.append(line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}")
    return "".join(lines)


def parse_patch_set(diff: str, *, metadata_only: bool = False) -> PatchSet:
    """Parse a unified diff; with `metadata_only`, hunks without their lines.

    Raises ValueError if it is damaged.
    """
    patch_set, parse_error = _parser()
    # unidiff misreads paths with spaces in git's headers, and does not need them.
    lines = [line for line in _split_at_newlines(diff) if not line.startswith(_GIT_HEADER)]
    try:
        return patch_set(lines, metadata_only=metadata_only)
    except parse_error as exc:
        raise ValueError(str(exc)) from exc


@cache
def _parser() -> tuple[type[PatchSet], type[Exception]]:
    # Late: few runs read a diff. Projects may have a module of that name.
    with installed("unidiff"):
        from unidiff.errors import UnidiffParseError
        from unidiff.patch import PatchSet
    return PatchSet, UnidiffParseError


def changed_lines(diff: str) -> list[str]:
    """Return the removed and added lines of a unified diff, with their signs."""
    lines = []
    for file in parse_patch_set(diff):
        for hunk in file:
            for line in hunk:
                if line.is_added or line.is_removed:
                    lines.append(str(line).removesuffix("\n"))
    return lines


def parse_path(header: str) -> str:
    """Return the path in a `+++ ` or `--- ` line, given what follows the sign and space.

    Quotes and the prefix (`a/`) are removed, as is the tab that git puts after some paths.
    """
    return re.sub(r"^[abciwo12]/", "", unquote_path(header.removesuffix("\t")))


def unquote_path(name: str) -> str:
    """Return a path that git may have quoted for its control characters, quotes or backslashes.

    Bytes that are not UTF-8 are decoded as by `os.fsdecode`.
    """
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name
    escaped = name[1:-1].encode("utf-8", "surrogateescape")
    return re.sub(rb"\\([0-3][0-7]{2}|.)", _unescape, escaped).decode("utf-8", "surrogateescape")


def _split_at_newlines(text: str) -> list[str]:
    """Split text as git does: only a newline ends a line."""
    return list(io.StringIO(text, newline="\n"))


def _unescape(match: re.Match[bytes]) -> bytes:
    if len(match[1]) == 3:
        return bytes([int(match[1], 8)])
    character = match[1][0]
    return bytes([_ESCAPED_CONTROLS.get(character, character)])
