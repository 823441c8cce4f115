"""Turns the correction that a model suggests into edits, without running anything."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from pytest_starcoder.explain.correction import Correction
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import split
from pytest_starcoder.source.sources import SourceFiles

EDIT_KIND = "written by a model"


def correction_edits(
    correction: Correction, code: Iterable[Excerpt], sources: SourceFiles
) -> list[Edit]:
    """Return an edit for each place in `code` that has the wrong lines, in the order of `code`."""
    wrong = _without_spaces(correction.wrong.splitlines())
    edits = []
    for excerpt in code:
        lines = split(sources(excerpt.path))
        for first in sorted(excerpt.lines):
            last = first + len(wrong) - 1
            if _without_spaces(lines[first - 1 : last]) == wrong:
                edits.append(_replace(excerpt.path, lines, first, last, correction.right))
    return edits


def _without_spaces(lines: Sequence[str]) -> list[str]:
    """Return lines as they are compared: a model copies spaces and trailing comments freely."""
    return ["".join(_without_comment(line).split()) for line in lines]


def _without_comment(line: str) -> str:
    code, mark, comment = line.rpartition("  #")
    return code if mark and "'" not in comment and '"' not in comment else line


def _replace(path: str, lines: Sequence[str], first: int, last: int, new_text: str) -> Edit:
    old = "\n".join(lines[first - 1 : last])
    margin = old[: len(old) - len(old.lstrip())]
    new = textwrap.indent(textwrap.dedent(new_text).strip("\n"), margin)
    start = sum(len(line) + 1 for line in lines[: first - 1])
    return Edit(path, (start, start + len(old)), old, new, EDIT_KIND, 0.0, first)
