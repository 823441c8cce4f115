"""The code that a prompt shows: of each suspicious function the lines that ran, most suspicious function first.

Ranked lines and sources in, excerpts out. A line that the failing test did not
run cannot be what it ran wrongly, so of long functions it is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_starcoder.evidence.callees import syntax_tree
from pytest_starcoder.evidence.lines import statement_at
from pytest_starcoder.evidence.suspicion import Line, Sources

SHORT = 8
"""Lines of a function that is shown whole."""

ENOUGH = 1500
"""Characters of code that are shown where nothing asks for more."""

AT_MOST = 6000
"""Characters of code that are shown of lines that are as suspicious as the first."""

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
    ranked: Sequence[Line], scores: Mapping[Line, float], sources: Sources, without: Collection[Line] = ()
) -> list[Excerpt]:
    """The code around `ranked` lines, as much as is worth showing; `without` are lines that are shown elsewhere."""
    best = scores.get(ranked[0], 0.0) if ranked else 0.0
    chosen: dict[tuple[str, Unit], set[int]] = {}
    size = 0
    for path, number in ranked:
        source = sources(path)
        unit = _unit(source, number)
        if unit is None or (path, number) in without:
            continue
        shown = chosen.get((path, unit), set())
        if number in shown:
            continue
        wider = shown | _around(source, unit, number)
        lines = source.split("\n")
        size += sum(min(len(lines[n - 1]), WIDTH) + 1 for n in wider - shown if n <= len(lines))
        if chosen and size > (AT_MOST if scores.get((path, number), 0.0) >= 0.99 * best else ENOUGH):
            break
        chosen[path, unit] = wider
    return [_excerpt(path, sources(path), unit, shown) for (path, unit), shown in chosen.items()]


@dataclass(frozen=True)
class Unit:
    """A function, or a statement outside any, with the heads of its classes; `body` is the first line inside."""

    first: int
    last: int
    body: int
    classes: tuple[int, ...] = ()


def _around(source: str, unit: Unit, line: int) -> set[int]:
    """The lines that `line` is shown with: all of a short function, else its head and the statement."""
    if unit.last - unit.first < SHORT:
        return {*range(unit.first, unit.last + 1), *unit.classes}
    first, last = statement_at(source, line)
    head = range(unit.first, min(unit.body, unit.first + SHORT)) if unit.body > unit.first else ()
    return {*unit.classes, *head, *range(max(first, line - 2), min(last, line + 2) + 1)}


def _excerpt(path: str, source: str, unit: Unit, kept: set[int]) -> Excerpt:
    """The `kept` lines of a unit, with `...` for what is left out between them."""
    lines = source.split("\n")
    shown: list[str] = []
    before = 0
    for number in sorted(number for number in kept if number <= len(lines)):
        if before and number > before + 1 and before not in unit.classes:
            shown.append(_indentation(lines[number - 1]) + "...")
        shown.append(lines[number - 1][:WIDTH])
        before = number
    return Excerpt(path, unit.first, "\n".join(shown).rstrip(), frozenset(kept))


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _unit(source: str, line: int) -> Unit | None:
    """The innermost function around `line`, else the statement outside any."""
    best: Unit | None = None
    for unit in _units(source):
        if unit.first <= line <= unit.last and (best is None or unit.last - unit.first <= best.last - best.first):
            best = unit
    return best


@lru_cache(maxsize=64)
def _units(source: str) -> tuple[Unit, ...]:
    tree = syntax_tree(source)
    return tuple(_of(tree.body, ())) if tree else ()


def _of(body: Sequence[ast.stmt], classes: tuple[int, ...]) -> Iterator[Unit]:
    for node in body:
        last = node.end_lineno or node.lineno
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield Unit(first, last, node.body[0].lineno, classes)
            for inner in ast.walk(node):
                if inner is not node and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    head = min([inner.lineno, *(decorator.lineno for decorator in inner.decorator_list)])
                    yield Unit(head, inner.end_lineno or inner.lineno, inner.body[0].lineno, (*classes, node.lineno))
        elif isinstance(node, ast.ClassDef):
            yield from _of(node.body, (*classes, node.lineno))
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            yield Unit(node.lineno, last, node.body[0].lineno, classes)
            yield from _of([inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)], classes)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield Unit(node.lineno, last, node.lineno, classes)
