"""Lines as an editor counts them, two texts as a unified diff, and the paths that a diff names."""

from __future__ import annotations

import difflib
import io
import re


def lines_of(text: str) -> list[str]:
    """The lines of `text` with their ends: form feeds and Unicode's separators end none."""
    return list(io.StringIO(text, newline=""))


def unified(before: str, after: str, path: str) -> str:
    """The diff that turns `before` into `after`, as git would print it; empty where they are alike."""
    old, new = (
        list(io.StringIO(text, newline="\n")) for text in (before, after)
    )  # git's lines end with nothing else
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def changed_lines(diff: str) -> list[str]:
    """The lines of a unified diff that it takes away or puts in, with their signs."""
    lines = diff.splitlines()
    heads = {
        at + behind
        for at, (old, new, hunk) in enumerate(zip(lines, lines[1:], lines[2:], strict=False))
        if old.startswith("---") and new.startswith("+++") and hunk.startswith("@@")
        for behind in (0, 1)
    }
    return [line for at, line in enumerate(lines) if line[:1] in ("+", "-") and at not in heads]


def named_path(header: str) -> str:
    """The path that stands behind `+++ ` or `--- `, without quotes, its prefix and the tab that git ends some with."""
    return re.sub(r"^[abciwo12]/", "", unquoted(header.removesuffix("\t")))


def unquoted(name: str) -> str:
    """A path as it is, where git has quoted it for its control characters, quotes or backslashes.

    Bytes that are no UTF-8 are kept as os.fsdecode keeps them.
    """
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name
    escaped = name[1:-1].encode("utf-8", "surrogateescape")
    return re.sub(rb"\\([0-3][0-7]{2}|.)", _unescaped, escaped).decode("utf-8", "surrogateescape")


_CONTROLS = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))


def _unescaped(match: re.Match[bytes]) -> bytes:
    if len(match[1]) == 3:
        return bytes([int(match[1], 8)])
    return bytes([_CONTROLS.get(match[1][0], match[1][0])])
