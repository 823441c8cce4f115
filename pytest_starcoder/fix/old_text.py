"""Edits that restore parts of the text that a change has replaced, one at a time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

COST = 0.5
"""Cost of these edits: they are tried before all others."""

MAX_LINES = 20
"""Maximum number of lines of a piece that is restored in parts."""

KIND = "old text restored"

_TOKEN = re.compile(r"\w+|[^\S\n]+|[^\w\s]|\n")


def edits_of_old_text(breakage: Breakage, sources: SourceFiles) -> list[Edit]:
    """Return an edit for each operand, argument or line that the pieces have replaced."""
    edits: list[Edit] = []
    for piece in breakage.pieces:
        if not piece.in_test and piece.path.endswith(".py"):
            edits += _edits_of_piece(piece, sources(piece.path))
    return edits


def _edits_of_piece(piece: BrokenBy, source: str) -> Iterator[Edit]:
    old = piece.removed
    if len(old) > MAX_LINES or piece.last - piece.line > MAX_LINES:
        return
    lines = split_lines(source)
    start = len("".join(lines[: piece.line - 1]))
    if piece.last < piece.line:
        for line in old:
            yield Edit(piece.path, (start, start), "", f"{line}\n", KIND, COST, piece.line)
        return
    new_text = "".join(lines[piece.line - 1 : piece.last])
    old_text = "".join(f"{line}\n" for line in old)
    for first, last, text in _replacements(new_text, old_text):
        number = piece.line + new_text[:first].count("\n")
        span = start + first, start + last
        yield Edit(piece.path, span, new_text[first:last], text, KIND, COST, number)


def _replacements(new: str, old: str) -> Iterator[tuple[int, int, str]]:
    """Yield where `new` differs from `old`, and the old text in that place."""
    new_tokens, old_tokens = _TOKEN.findall(new), _TOKEN.findall(old)
    matcher = difflib.SequenceMatcher(None, new_tokens, old_tokens, autojunk=False)
    for tag, first, last, old_first, old_last in matcher.get_opcodes():
        if tag != "equal":
            before = len("".join(new_tokens[:first]))
            changed = len("".join(new_tokens[first:last]))
            yield before, before + changed, "".join(old_tokens[old_first:old_last])
