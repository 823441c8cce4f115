"""Lines as an editor counts them, and two texts as a unified diff."""

from __future__ import annotations

import difflib
import io


def lines_of(text: str) -> list[str]:
    """The lines of `text` with their ends: form feeds and Unicode's separators end none."""
    return list(io.StringIO(text, newline=""))


def unified(before: str, after: str, path: str) -> str:
    """The diff that turns `before` into `after`, as git would print it; empty where they are alike."""
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))  # git's lines end with nothing else
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def changed_lines(diff: str) -> list[str]:
    """The lines of a unified diff that it takes away or puts in, with their signs."""
    return [line for line in diff.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]
