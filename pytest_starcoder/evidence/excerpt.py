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

SHORT = 12
"""Lines of a function that is shown whole."""

ENOUGH = 1500
"""Characters of code that are shown where nothing asks for more."""

AT_MOST = 6000
"""Characters of code that are shown of functions that are as suspicious as the first."""

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
    executed: dict[str, set[int]] = {}
    for path, number in ranked:
        executed.setdefault(path, set()).add(number)
    best = scores[ranked[0]] if ranked else 0.0
    found: dict[Line, Excerpt] = {}
    size = 0
    for path, number in ranked:
        source = sources(path)
        unit = _unit(source, number)
        if unit is None or (path, unit.first) in found or (path, number) in without:
            continue
        excerpt = cut(path, source, unit, executed[path])
        size += len(excerpt.text)
        if found and size > (AT_MOST if scores[path, number] >= 0.99 * best else ENOUGH):
            break
        found[path, unit.first] = excerpt
    return list(found.values())


@dataclass(frozen=True)
class Unit:
    """A function, or a statement outside any, with the heads of its classes; `body` is the first line inside."""

    first: int
    last: int
    body: int
    classes: tuple[int, ...] = ()


def cut(path: str, source: str, unit: Unit, executed: Collection[int]) -> Excerpt:
    """The lines of `unit` that were executed, and around them what makes them readable."""
    lines = source.split("\n")
    if unit.last - unit.first < SHORT:
        kept = set(range(unit.first, unit.last + 1))
    else:
        kept = {*range(unit.first, unit.body), unit.body}
        for number in executed:
            if unit.first <= number <= unit.last:
                first, last = statement_at(source, number)
                kept.update(range(first, min(last, first + SHORT) + 1))
    shown: list[str] = [lines[number - 1] for number in unit.classes if number <= len(lines)]
    before = unit.first - 1
    for number in sorted(number for number in kept if number <= len(lines)):
        if number > before + 1 and shown:
            shown.append(_indentation(lines[number - 1]) + "...")
        shown.append(lines[number - 1][:WIDTH])
        before = number
    return Excerpt(path, unit.first, "\n".join(shown).rstrip(), frozenset(kept | set(unit.classes)))


def whole(path: str, source: str, line: int) -> Excerpt | None:
    """The unit around `line`, not cut; None where nothing stands there."""
    unit = _unit(source, line)
    return cut(path, source, unit, range(unit.first, unit.last + 1)) if unit else None


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
