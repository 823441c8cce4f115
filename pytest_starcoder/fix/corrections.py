"""Turns a function that a model has rewritten into edits, without running anything."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.fix.proposals import EDIT_KIND
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.lines import has_code, indentation, split
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

GAP = "..."
"""What an excerpt shows instead of lines that it leaves out."""


def correction_edits(code: str, shown: Iterable[Excerpt], sources: SourceFiles) -> list[Edit]:
    """Return an edit for each function in `shown` that `code` writes otherwise.

    Docstrings, and lines that were not shown to the model, such as comments, stay as they are.
    """
    code = textwrap.dedent(code)
    tree = syntax_tree(code)
    if tree is None:
        return []
    edits = []
    rewritten = [
        (class_name, function.name, _lines_of(function, code))
        for class_name, function in _functions(tree.body)
    ]
    for excerpt in shown:
        source = sources(excerpt.path)
        for class_name, name, new in rewritten:
            old = _shown_lines(class_name, name, excerpt, source)
            if old:
                edit = _edit(excerpt.path, split(source), old, new)
                edits += [edit] if edit else []
    return edits


def _functions(body: Iterable[ast.AST], class_name: str = "") -> Iterator[tuple[str, Function]]:
    """Yield functions and methods, each with the name of its class."""
    for node in body:
        if isinstance(node, Function):
            yield class_name, node
            yield from _functions(node.body)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, node.name)


def _lines_of(function: Function, code: str) -> list[str]:
    """Return the lines of a function without docstrings."""
    docstrings = _docstring_lines(function)
    lines = []
    for number, line in enumerate(split(code), 1):
        if function.lineno <= number <= (function.end_lineno or 0) and number not in docstrings:
            lines.append(line)
    return lines


def _docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return lines


@dataclass(frozen=True)
class _ShownLine:
    """A line of an excerpt; the number is 0 for a gap."""

    number: int
    text: str


def _shown_lines(class_name: str, name: str, excerpt: Excerpt, source: str) -> list[_ShownLine]:
    """Return the lines of an excerpt from the function's `def` on; none if it is another's."""
    source_lines = split(source)
    tree = syntax_tree(source)
    docstrings = _docstring_lines(tree) if tree else set()
    head = re.compile(rf"\s*(?:async\s+)?def\s+{name}\b")
    is_in_class = not class_name
    shown: list[_ShownLine] = []
    previous = 0
    for number in sorted(excerpt.lines):
        if number > len(source_lines):  # the file has changed since
            break
        text = source_lines[number - 1]
        if not shown and re.match(rf"\s*class\s+{class_name}\b", text):
            is_in_class = True
        if not (shown or (is_in_class and head.match(text))):
            continue
        if not has_code(text) or number in docstrings:
            continue
        hidden = range(previous + 1, number) if shown else ()
        if any(has_code(source_lines[line - 1]) and line not in docstrings for line in hidden):
            shown.append(_ShownLine(0, GAP))
        shown.append(_ShownLine(number, text))
        previous = number
    return shown


def _edit(
    path: str, source_lines: Sequence[str], old: Sequence[_ShownLine], new: Sequence[str]
) -> Edit | None:
    """Return the edit from the first line that differs to the last one; None if none does."""
    margin = indentation(old[0].text)
    new = [line for line in _reindented(new, margin) if has_code(line)]
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
    if not after:
        # The line before stays, so that no empty one is left.
        start -= 1
        after = [source_lines[start - 1]]
    before = "\n".join(source_lines[start - 1 : end])
    offset = sum(len(line) + 1 for line in source_lines[: start - 1])
    span = offset, offset + len(before)
    return Edit(path, span, before, "\n".join(after), EDIT_KIND, 0.0, start)


def _replacements(
    old: Sequence[_ShownLine], new: Sequence[str]
) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Yield the first and last line of each part that differs, and its new lines.

    Added lines also replace a line beside them by itself. A gap that the model leaves out stays.
    The first line is 0 for a part with a gap that is filled, since what it hides is unknown.
    """
    old_texts = [_comparable(line.text) for line in old]
    new_texts = [_comparable(line) for line in new]
    matcher = SequenceMatcher(None, old_texts, new_texts, autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        lines = new[new_start:new_end]
        if kind == "equal":
            continue
        replaced = _without_gaps(old[start:end], len(lines))
        if kind == "delete" and not replaced:
            continue
        if kind == "insert" and start == 1 < len(old):
            # Below a docstring, which is not among the lines.
            replaced = [old[1]]
            lines = [*lines, old[1].text]
        elif kind == "insert":
            replaced = [old[start - 1]]
            lines = [old[start - 1].text, *lines]
        numbers = [line.number for line in replaced]
        if 0 in numbers:
            yield 0, 0, ()
        elif len(numbers) == len(lines):
            # One by one, so that comments between them stay.
            yield from (
                (number, number, [line]) for number, line in zip(numbers, lines, strict=True)
            )
        else:
            yield numbers[0], numbers[-1], lines


def _comparable(line: str) -> str:
    # A `return` that is indented less can be the whole correction.
    return GAP if line.strip() == GAP else line.rstrip()


def _without_gaps(lines: Sequence[_ShownLine], new_count: int) -> list[_ShownLine]:
    """Return lines without the gaps at both ends, unless some of the new lines fill them."""
    numbered = [index for index, line in enumerate(lines) if line.number]
    if len(numbered) < new_count:
        return list(lines)
    return list(lines[numbered[0] : numbered[-1] + 1]) if numbered else []


def _reindented(lines: Sequence[str], margin: str) -> list[str]:
    """Return lines with the indentation of the first one replaced by `margin`."""
    width = len(indentation(lines[0]))
    return [margin + line[width:] if line.strip() else line for line in lines]
