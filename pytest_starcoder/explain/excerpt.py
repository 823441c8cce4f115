"""The code that a prompt shows: of each suspicious function the lines that ran, most suspicious function first.

Ranked lines and sources in, excerpts out. A line that the failing test did not
run cannot be what it ran wrongly, so of long functions it is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_starcoder.explain.suspicion import Line
from pytest_starcoder.source.lines import split, statement_at
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

SHORT = 8
"""Lines of a function that is shown whole."""


@dataclass(frozen=True)
class Room:
    """How much code is shown, in characters.

    `enough` in any case, as far as there is any; `at_most` of lines whose score
    is at least `worth` of the first one's; `telling` beside that for other
    reasons than the score.
    """

    enough: int
    worth: float
    at_most: int
    telling: int


ROOM = Room(900, 0.9, 1100, 250)

WIDE = Room(4500, 0.3, 4800, 500)
"""Where the score tells little: an assertion failed, and only `FEW` lines are the most suspicious.

Those are as often a consequence of the fault as the fault: half of them on the seeded edits.
"""

FEW = 4

WIDTH = 200
"""Characters of one line."""


@dataclass(frozen=True)
class Excerpt:
    """Lines of one function, or of one definition of a module or class; `...` stands for what is left out.

    `lines` are the numbers of those that are shown, 1-based.
    """

    path: str
    first: int
    text: str
    lines: frozenset[int]


def excerpts(
    ranked: Sequence[Line],
    scores: Mapping[Line, float],
    sources: SourceFiles,
    telling: Sequence[Line] = (),
    room: Room = ROOM,
) -> list[Excerpt]:
    """The code around `ranked` lines, as much as `room` has room for, and around some of those that are `telling`."""
    best = scores.get(ranked[0], 0.0) if ranked else 0.0
    code = _Code(sources)
    for line in ranked:
        if not code.add(
            line, room.at_most if scores.get(line, 0.0) >= room.worth * best else room.enough
        ):
            break
    most = code.size + room.telling
    for line in telling:
        if not code.add(line, most):
            break
    return code.excerpts()


def room_for(exception: str, ranked: Sequence[Line], scores: Mapping[Line, float]) -> Room:
    """How much code a failure by `exception` asks for."""
    best = scores.get(ranked[0], 0.0) if ranked else 0.0
    prime = sum(scores.get(line, 0.0) >= 0.99 * best for line in ranked[: FEW + 1])
    return WIDE if exception in ("AssertionError", "Failed") and prime <= FEW else ROOM


class _Code:
    """Code that is chosen line by line; `size` is its characters."""

    def __init__(self, sources: SourceFiles) -> None:
        self._sources = sources
        self._chosen: dict[tuple[str, Unit], set[int]] = {}
        self.size = 0

    def add(self, line: Line, room: int) -> bool:
        """Adds what `line` is shown with, unless that makes it larger than `room`."""
        path, number = line
        unit = self._sources.derive(path, _units_by_line).get(number)
        if unit is None:
            return True
        source = self._sources(path)
        shown = self._chosen.get((path, unit), set())
        if number in shown:
            return True
        wider = shown | _around(source, unit, number)
        more = sum(len(text) + 1 for text in _texts(source, unit, wider - shown))
        if self._chosen and self.size + more > room:
            return False
        self.size += more
        self._chosen[path, unit] = wider
        return True

    def excerpts(self) -> list[Excerpt]:
        return [
            _excerpt(path, self._sources(path), unit, shown)
            for (path, unit), shown in self._chosen.items()
        ]


@dataclass(frozen=True)
class Unit:
    """A function, or a statement outside any, with the heads of its classes; `head` is the line of its `def`.

    `body` is the first line inside.
    """

    first: int
    last: int
    head: int
    body: int
    classes: tuple[int, ...] = ()


def _around(source: str, unit: Unit, line: int) -> set[int]:
    """The lines that `line` is shown with: all of a short function, else its head and the statement."""
    if unit.last - unit.first < SHORT:
        return {*range(unit.first, unit.last + 1), *unit.classes}
    first, last = statement_at(source, line)
    head = (
        range(unit.head, unit.body if unit.body <= unit.head + 2 else unit.head + 1)
        if unit.body > unit.head
        else ()
    )
    return {*unit.classes, *head, *range(max(first, line - 2), min(last, line + 2) + 1)}


def _excerpt(path: str, source: str, unit: Unit, kept: set[int]) -> Excerpt:
    """The `kept` lines of a unit, with `...` for what is left out between them."""
    return Excerpt(path, unit.first, "\n".join(_texts(source, unit, kept)), frozenset(kept))


def _texts(source: str, unit: Unit, kept: set[int]) -> Iterator[str]:
    """The `kept` lines without the indentation of the unit, without comments and blank lines."""
    lines = split(source)
    margin = len(_indentation(lines[unit.head - 1])) if unit.head <= len(lines) else 0
    before = 0
    for number in sorted(number for number in kept if number <= len(lines)):
        line = lines[number - 1]
        if not _says(line):
            continue
        if number in unit.classes:
            yield line.strip()[:WIDTH]
            continue
        inside = 4 if unit.classes else 0
        if before and any(_says(lines[between - 1]) for between in range(before + 1, number)):
            yield " " * inside + _indentation(line)[margin:] + "..."
        before = number
        yield " " * inside + line[min(margin, len(_indentation(line))) :][:WIDTH].rstrip()


def _says(line: str) -> bool:
    """Whether anything but a comment stands on a line."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _units_by_line(source: str) -> dict[int, Unit]:
    """Map each line to its innermost function, or else to its top-level statement."""
    tree = syntax_tree(source)
    units = list(_of(tree.body, ())) if tree else []
    found: dict[int, Unit] = {}
    for unit in sorted(units, key=lambda unit: unit.first - unit.last):  # inner ones last
        found.update(dict.fromkeys(range(unit.first, unit.last + 1), unit))
    return found


def _of(body: Sequence[ast.stmt], classes: tuple[int, ...]) -> Iterator[Unit]:
    for node in body:
        last = node.end_lineno or node.lineno
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield Unit(first, last, node.lineno, node.body[0].lineno, classes)
            for inner in ast.walk(node):
                if inner is not node and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    head = min(
                        [inner.lineno, *(decorator.lineno for decorator in inner.decorator_list)]
                    )
                    end = inner.end_lineno or inner.lineno
                    yield Unit(
                        head, end, inner.lineno, inner.body[0].lineno, (*classes, node.lineno)
                    )
        elif isinstance(node, ast.ClassDef):
            yield from _of(node.body, (*classes, node.lineno))
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            yield Unit(node.lineno, last, node.lineno, node.body[0].lineno, classes)
            yield from _of(
                [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)],
                classes,
            )
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield Unit(node.lineno, last, node.lineno, node.lineno, classes)
