"""Selects the code that a prompt shows: the executed lines of the most suspicious functions.

Long functions are shown without the lines that the failing test did not execute.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from pytest_starcoder.explain.suspicion import Line
from pytest_starcoder.source.functions import Function, definition_lines, lines_of
from pytest_starcoder.source.lines import has_code, indentation, split, statement_at
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

MAX_WIDTH = 200
"""Maximum number of characters of one line."""

MAX_PRIME_LINES = 4
"""Maximum number of lines with the highest score for which a failed assertion gets more room."""


@dataclass(frozen=True)
class Room:
    """Limits on the code that is shown, in characters.

    Lines are added up to `minimum`, and up to `maximum` if their score is at least `ratio` of the
    best one. Lines that share words with the test get `related` characters more. Functions of up
    to `function` lines are shown in full.
    """

    minimum: int
    ratio: float
    maximum: int
    related: int
    function: int = 8


NARROW_ROOM = Room(900, 0.9, 1100, 250)

WIDE_ROOM = Room(4500, 0.3, 4800, 500)
"""Room for a failed assertion if few lines have the highest score.

On the seeded edits of benchmarks/ranking.py, half of those lines were a consequence of the fault.
"""


CHANGE_ROOM = Room(1200, 0.9, 1500, 0, function=16)
"""Room for the code around a change that is known to matter."""


@dataclass(frozen=True)
class Excerpt:
    """Lines of one function or top-level statement; `...` stands for omitted lines.

    `lines` are the numbers of the shown lines; `first` is the first line of the unit.
    """

    path: str
    first: int
    text: str
    lines: frozenset[int]


@dataclass(frozen=True)
class Unit:
    """A function, or a statement outside functions, which is shown in full or in part.

    `head` is the line of its `def`, after decorators; `body` is the first line inside; `classes`
    are the lines of the classes and functions around it.
    """

    first: int
    last: int
    head: int
    body: int
    classes: tuple[int, ...] = ()


def choose_room(exception: str, ranked: Sequence[Line], scores: Mapping[Line, float]) -> Room:
    """Return how much code to show of a failure."""
    if exception not in ("AssertionError", "Failed"):
        return NARROW_ROOM
    if len(ranked) <= MAX_PRIME_LINES:
        return WIDE_ROOM
    score_after = scores.get(ranked[MAX_PRIME_LINES], 0.0)
    if score_after >= 0.99 * _best_score(ranked, scores):
        # Many lines tie, so the score alone chooses enough code.
        return NARROW_ROOM
    return WIDE_ROOM


def select_excerpts(
    ranked: Sequence[Line],
    scores: Mapping[Line, float],
    sources: SourceFiles,
    related: Sequence[Line] = (),
    room: Room = NARROW_ROOM,
) -> list[Excerpt]:
    """Return the code around the `ranked` lines, and around some of the `related` ones."""
    threshold = room.ratio * _best_score(ranked, scores)
    selection = _Selection(sources, room.function)
    for line in ranked:
        limit = room.maximum if scores.get(line, 0.0) >= threshold else room.minimum
        if not selection.add(line, limit):
            break
    limit = selection.size + room.related
    for line in related:
        if not selection.add(line, limit):
            break
    return selection.excerpts()


def _best_score(ranked: Sequence[Line], scores: Mapping[Line, float]) -> float:
    return scores.get(ranked[0], 0.0) if ranked else 0.0


class _Selection:
    """Lines to show, by unit; `size` is their number of characters."""

    def __init__(self, sources: SourceFiles, short_function: int) -> None:
        self._sources = sources
        self._short_function = short_function
        self._lines: dict[tuple[str, Unit], set[int]] = {}
        self.size = 0

    def add(self, line: Line, limit: int) -> bool:
        """Add a line with its context; return False if the selection would exceed `limit`."""
        path, number = line
        unit = self._sources.derive(path, _units_by_line).get(number)
        if unit is None:
            return True
        source = self._sources(path)
        lines = self._lines.get((path, unit), set())
        if number in lines:
            return True
        added = _context(source, unit, number, self._short_function) - lines
        size = self.size
        for text in _render(source, unit, added):
            size += len(text) + 1
        # The first line is always shown.
        if self._lines and size > limit:
            return False
        self.size = size
        self._lines[path, unit] = lines | added
        return True

    def excerpts(self) -> list[Excerpt]:
        excerpts = []
        for (path, unit), lines in self._lines.items():
            text = "\n".join(_render(self._sources(path), unit, lines))
            excerpts.append(Excerpt(path, unit.first, text, frozenset(lines)))
        return excerpts


def _context(source: str, unit: Unit, line: int, short_function: int) -> set[int]:
    """Return the lines to show with a line: a short unit, or else its head and the statement."""
    lines = set(unit.classes)
    if unit.last - unit.first < short_function:
        return lines.union(range(unit.first, unit.last + 1))
    # A long statement, such as a table, is shown in part.
    first, last = statement_at(source, line)
    first = max(first, line - 2)
    last = min(last, line + 2)
    lines.update(range(first, last + 1))
    if unit.body > unit.head:
        lines.add(unit.head)
        if unit.body <= unit.head + 2:  # the head takes at most two lines
            lines.update(range(unit.head, unit.body))
    return lines


def _render(source: str, unit: Unit, numbers: Set[int]) -> Iterator[str]:
    """Yield the lines without the unit's indentation, comments and blank lines."""
    lines = split(source)
    margin = 0
    if unit.head <= len(lines):
        margin = len(indentation(lines[unit.head - 1]))
    prefix = "    " if unit.classes else ""
    previous = 0
    for number in sorted(numbers):
        if number > len(lines):  # the file has changed since
            break
        line = lines[number - 1]
        if not has_code(line):
            continue
        if number in unit.classes:
            yield line.strip()[:MAX_WIDTH]
            continue
        indent = indentation(line)
        omitted = lines[previous : number - 1] if previous else []
        if any(map(has_code, omitted)):
            yield f"{prefix}{indent[margin:]}..."
        previous = number
        # Lines inside a multi-line string may be indented less than the unit.
        start = min(margin, len(indent))
        text = line[start : start + MAX_WIDTH].rstrip()
        yield prefix + text


def _units_by_line(source: str) -> dict[int, Unit]:
    """Return the innermost function around each line, or else its top-level statement."""
    tree = syntax_tree(source)
    if tree is None:
        return {}
    by_line: dict[int, Unit] = {}
    longest_first = sorted(_units(tree.body, ()), key=lambda unit: unit.first - unit.last)
    for unit in longest_first:
        lines = range(unit.first, unit.last + 1)
        # Inner units are shorter, so they come later and replace outer ones.
        by_line.update(dict.fromkeys(lines, unit))
    return by_line


def _units(body: Iterable[ast.AST], classes: tuple[int, ...]) -> Iterator[Unit]:
    for node in body:
        if isinstance(node, Function):
            yield from _function_units(node, classes)
        elif isinstance(node, ast.ClassDef):
            yield from _units(node.body, (*classes, node.lineno))
        # Imports are left out: they take room and explain little.
        elif isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            yield _unit(node, lines_of(node), classes)
            if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
                yield from _units(ast.iter_child_nodes(node), classes)


def _function_units(node: Function, classes: tuple[int, ...]) -> Iterator[Unit]:
    yield _unit(node, definition_lines(node), classes)
    enclosing = (*classes, node.lineno)
    for inner in ast.walk(node):
        if inner is not node and isinstance(inner, Function):
            yield _unit(inner, definition_lines(inner), enclosing)


def _unit(node: ast.stmt, lines: range, classes: tuple[int, ...]) -> Unit:
    body: list[ast.stmt] = getattr(node, "body", [node])
    return Unit(lines[0], lines[-1], node.lineno, body[0].lineno, classes)
