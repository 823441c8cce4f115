"""Turns a function that a model has rewritten into edits, without running anything."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.lines import split
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

EDIT_KIND = "written by a model"
GAP = "..."
"""What an excerpt shows instead of lines that it leaves out."""


def correction_edits(code: str, shown: Iterable[Excerpt], sources: SourceFiles) -> list[Edit]:
    """Return an edit for each function in `shown` that `code` writes otherwise.

    Lines that were not shown to the model, such as comments, stay as they are.
    """
    code = textwrap.dedent(code)
    tree = syntax_tree(code)
    if tree is None:
        return []
    edits = []
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    for excerpt in shown:
        source_lines = split(sources(excerpt.path))
        for function in functions:
            old = _shown_lines(function.name, excerpt, source_lines)
            if old:
                new = split(code)[function.lineno - 1 : function.end_lineno]
                edit = _edit(excerpt.path, source_lines, old, new)
                edits += [edit] if edit else []
    return edits


@dataclass(frozen=True)
class _ShownLine:
    """A line of an excerpt; the number is 0 for a gap."""

    number: int
    text: str


def _shown_lines(name: str, excerpt: Excerpt, source_lines: Sequence[str]) -> list[_ShownLine]:
    """Return the lines of an excerpt from the function's `def` on; none if it is another's."""
    shown: list[_ShownLine] = []
    previous = 0
    for number in sorted(excerpt.lines):
        if number > len(source_lines):  # the file has changed since
            break
        text = source_lines[number - 1]
        is_head = text.partition("(")[0].split()[-1:] == [name]
        if not _has_code(text) or not (shown or is_head):
            continue
        hidden = source_lines[previous : number - 1] if shown else []
        if any(_has_code(line) for line in hidden):
            shown.append(_ShownLine(0, GAP))
        shown.append(_ShownLine(number, text))
        previous = number
    return shown


def _has_code(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith("#")


def _edit(
    path: str, source_lines: Sequence[str], old: Sequence[_ShownLine], new: Sequence[str]
) -> Edit | None:
    """Return the edit from the first line that differs to the last one; None if none does."""
    margin = _indentation(old[0].text)
    new = [line for line in _reindented(new, margin) if _has_code(line)]
    replacements = list(_replacements(old, new))
    if not replacements or any(first == 0 for first, _, _ in replacements):
        return None
    start = min(first for first, _, _ in replacements)
    end = max(last for _, last, _ in replacements)
    after: list[str] = []
    next_line = start
    for first, last, lines in replacements:
        after += [*source_lines[next_line - 1 : first - 1], *lines]
        next_line = last + 1
    before = "\n".join(source_lines[start - 1 : end])
    offset = sum(len(line) + 1 for line in source_lines[: start - 1])
    span = offset, offset + len(before)
    return Edit(path, span, before, "\n".join(after), EDIT_KIND, 0.0, start)


def _replacements(
    old: Sequence[_ShownLine], new: Sequence[str]
) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Yield the first and last line of each part that differs, and its new lines.

    Added lines also replace the line before them by itself. The first line is 0 for a part with a
    gap, whose lines are unknown.
    """
    old_texts = [line.text.strip() for line in old]
    new_texts = [line.strip() for line in new]
    matcher = SequenceMatcher(None, old_texts, new_texts, autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        lines = new[new_start:new_end]
        if kind == "equal":
            continue
        replaced = old[start:end]
        if kind == "insert":
            replaced = old[max(start - 1, 0) : max(start, 1)]
            lines = [replaced[0].text, *lines]
        numbers = [line.number for line in replaced]
        yield (0, 0, ()) if 0 in numbers else (numbers[0], numbers[-1], lines)


def _reindented(lines: Sequence[str], margin: str) -> list[str]:
    """Return lines with the indentation of the first one replaced by `margin`."""
    width = len(_indentation(lines[0]))
    return [margin + line[width:] if line.strip() else line for line in lines]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
