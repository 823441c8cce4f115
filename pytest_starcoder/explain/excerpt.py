"""Selects the code that a prompt shows: the executed lines of the most suspicious functions.

Long functions are shown without the lines that the failing test did not execute.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import islice

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.line_features import Line
from pytest_starcoder.explain.suspicion import Ranking
from pytest_starcoder.source.functions import Function, definition_lines, lines_of
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.lines import has_code, indentation, split
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

MAX_WIDTH = 200
"""Maximum number of characters of one line."""


@dataclass(frozen=True)
class Room:
    """Limits on the code that is shown.

    `characters` are those of all code together. Functions of up to `function` lines are shown
    in full, of longer ones each statement with `around` lines before and after it.
    """

    characters: int
    function: int
    around: int = 0


CHANGE_ROOM = Room(1200, function=16)
"""Room for the code around a change that is known to matter."""

SUSPECT_ROOM = Room(1730, function=12, around=1)
"""Room for the code around the most suspicious statements."""

MAX_STATEMENTS = 60
"""Maximum number of statements whose functions are considered."""

MAX_OF_FUNCTION = 8
"""Maximum number of statements of one function for which code is shown."""


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


def choose_excerpts(
    failure: Failure, ranking: Ranking, sources: SourceFiles, room: Room = SUSPECT_ROOM
) -> list[Excerpt]:
    """Return the line that raised with its function, and then the most suspicious functions."""
    selection = _Selection(sources, room)
    outside = [frame for frame in failure.frames if _is_ranked(frame.path, ranking)]
    for frame in outside[-1:]:
        selection.add((frame.path, frame.line))
    for lines in _by_function(ranking, sources):
        for line in lines[:MAX_OF_FUNCTION]:
            selection.add(line)
    return selection.excerpts()


def _is_ranked(path: str, ranking: Ranking) -> bool:
    return any(statement.path == path for statement in ranking.statements)


def _by_function(ranking: Ranking, sources: SourceFiles) -> list[list[Line]]:
    """Return the statements of each function, the most suspicious of both first."""
    chances: dict[object, float] = {}
    lines: dict[object, list[Line]] = {}
    for statement, chance in islice(ranking.statements.items(), MAX_STATEMENTS):
        path, first, _ = statement
        unit = sources.derive(path, _units_by_line).get(first)
        if unit is None:
            continue
        key = path, unit
        chances[key] = chances.get(key, 0.0) + chance
        lines.setdefault(key, []).append((path, first))
    return [lines[key] for key in sorted(lines, key=lambda key: -chances[key])]


def select_excerpts(
    lines: Iterable[Line], sources: SourceFiles, room: Room = SUSPECT_ROOM
) -> list[Excerpt]:
    """Return the code around as many lines as there is room for, the first ones first."""
    selection = _Selection(sources, room)
    for line in lines:
        if not selection.add(line):
            break
    return selection.excerpts()


class _Selection:
    """Lines to show, by unit, as far as there is room."""

    def __init__(self, sources: SourceFiles, room: Room) -> None:
        self._sources = sources
        self._room = room
        self._lines: dict[tuple[str, Unit], set[int]] = {}
        self._size = 0

    def add(self, line: Line) -> bool:
        """Add a line with its context; return False if there is no room."""
        path, number = line
        unit = self._sources.derive(path, _units_by_line).get(number)
        if unit is None:
            return True
        source = self._sources(path)
        lines = self._lines.get((path, unit), set())
        if number in lines:
            return True
        statement = self._sources.derive(path, index_lines).statements.get(number)
        added = _context(unit, number, statement or range(number, number + 1), self._room)
        added -= lines
        size = self._size
        for text in _render(source, unit, added):
            size += len(text) + 1
        # The first line is always shown.
        if self._lines and size > self._room.characters:
            return False
        self._size = size
        self._lines[path, unit] = lines | added
        return True

    def excerpts(self) -> list[Excerpt]:
        excerpts = []
        for (path, unit), lines in self._lines.items():
            text = "\n".join(_render(self._sources(path), unit, lines))
            excerpts.append(Excerpt(path, unit.first, text, frozenset(lines)))
        return excerpts


def _context(unit: Unit, line: int, statement: range, room: Room) -> set[int]:
    """Return the lines to show with a line: a short unit, or else its head and those around."""
    lines = set(unit.classes)
    if unit.last - unit.first < room.function:
        return lines.union(range(unit.first, unit.last + 1))
    # A long statement, such as a table, is shown in part.
    first = max(statement[0], line - 2)
    last = min(statement[-1], line + 2)
    lines.update(range(max(unit.first, first - room.around), first))
    lines.update(range(first, min(unit.last, last + room.around) + 1))
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
