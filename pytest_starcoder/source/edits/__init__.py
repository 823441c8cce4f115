"""Edits of source code: one enumerator, whose kinds repair and break. Source in, edits out; nothing is run.

A kind is a function in a module of the folder `kinds`; adding one touches no other file.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.edits.kind import (
    EXTENDED,
    Direction,
    Kind,
    Place,
    Seen,
    Text,
    every_kind,
)
from pytest_starcoder.source.syntax import syntax_tree

__all__ = ["EXTENDED", "Direction", "Seen", "edited", "enumerate_edits", "pairs"]

TIGHT = {
    ast.NamedExpr: 0,
    ast.Lambda: 1,
    ast.IfExp: 2,
    ast.Compare: 6,
    ast.Await: 14,
}
"""How tightly an expression binds, by Python's grammar; what is in neither table needs no parentheses."""

OPERATORS = {
    ast.Or: 3,
    ast.And: 4,
    ast.Not: 5,
    ast.BitOr: 7,
    ast.BitXor: 8,
    ast.BitAnd: 9,
    ast.LShift: 10,
    ast.RShift: 10,
    ast.Add: 11,
    ast.Sub: 11,
    ast.UAdd: 13,
    ast.USub: 13,
    ast.Invert: 13,
    ast.Pow: 13,
}


NOTHING = Seen()

TABLE = 12
"""Lines of a statement that is one thing; of a longer one, a table, each line is by itself."""


def enumerate_edits(
    source: str,
    path: str,
    lines: Collection[int],
    seen: Seen = NOTHING,
    direction: Direction = Direction.REPAIRS,
) -> Iterator[Edit]:
    """Every edit of what begins on one of `lines` (1-based) of a file, each once, in no order.

    There is none where the source does not parse.
    """
    tree = syntax_tree(source)
    if tree is None:
        return
    place = Place(source, tree, seen)
    wanted = frozenset(lines)
    cheapest: dict[tuple[int, int, str], Edit] = {}
    for node in _nodes(tree, wanted):
        for found in every_kind():
            if found.direction in (direction, Direction.BOTH) and isinstance(node, found.nodes):
                for edit in _edits(found, node, place, path):
                    key = (*edit.span, edit.after)
                    if key not in cheapest or edit.cost < cheapest[key].cost:
                        cheapest[key] = edit
    yield from cheapest.values()


def edited(source: str, edits: Sequence[Edit]) -> str:
    """`source` with all of the edits made. Raises ValueError where two of them overlap."""
    last = len(source) + 1
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        start, end = edit.span
        if end > last or (end == last and start == end):
            raise ValueError("the edits overlap")
        source, last = source[:start] + edit.after + source[end:], start
    return source


def pairs(edits: Sequence[Edit], most: int) -> Iterator[tuple[Edit, Edit]]:
    """At most so many pairs of edits that do not overlap, the cheapest sum first; `edits` are sorted by cost."""
    found = 0
    for total in range(1, 2 * len(edits) - 2):
        for first in range(max(0, total - len(edits) + 1), (total + 1) // 2):
            one, other = edits[first], edits[total - first]
            if one.path == other.path and not _apart(one.span, other.span):
                continue
            yield one, other
            found += 1
            if found == most:
                return


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _nodes(tree: ast.Module, lines: frozenset[int]) -> Iterator[ast.AST]:
    """The nodes that begin on one of the lines, or whose statement does; nothing within an f-string."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, inside = waiting.pop()
        line = getattr(node, "lineno", None)
        if isinstance(node, ast.stmt) and not isinstance(node, _COMPOUND):
            span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            inside = len(span) <= TABLE and not lines.isdisjoint(span)
        if line is not None and (inside or line in lines):
            yield node
        if not isinstance(node, ast.JoinedStr):
            waiting += (
                (child, inside and not isinstance(child, ast.stmt))
                for child in ast.iter_child_nodes(node)
            )


_COMPOUND = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.While, ast.For, ast.AsyncFor,
    ast.With, ast.AsyncWith, ast.Try, ast.Match,
)  # fmt: skip


def _edits(found: Kind, node: ast.AST, place: Place, path: str) -> Iterator[Edit]:
    if not isinstance(node, ast.expr | ast.stmt):
        return
    start, end = place.whole(node)
    for given in found.rule(node, place):
        text = given if isinstance(given, Text) else Text(given)
        after, first, last = text.source, start, end
        if isinstance(node, ast.expr):
            after, first, last = _fitted(node, after, place)
        if after == place.source[first:last]:
            continue
        yield _shortest(
            place, path, first, last, after, text.kind or found.name, text.cost or found.cost
        )


def _shortest(
    place: Place, path: str, start: int, end: int, after: str, name: str, cost: float
) -> Edit:
    """An edit without the lines at both ends that it does not change."""
    before = place.source[start:end]
    while before and after and "\n" in before and "\n" in after:
        one, other = before.partition("\n")[0], after.partition("\n")[0]
        if one != other:
            break
        start += len(one) + 1
        before, after = before[len(one) + 1 :], after[len(one) + 1 :]
    line = place.line(start)
    return Edit(path, (start, start + len(before)), before, after, name, cost, line)


def _fitted(node: ast.expr, after: str, place: Place) -> tuple[str, int, int]:
    """What stands instead of an expression, in parentheses where it needs them, without those it does not."""
    start, end = place.span(node)
    tightness = _tightness_of(after)
    parent = place.parents.get(node)
    own = _tightness(node)
    source = place.source
    wrapped = start > 0 and end < len(source) and source[start - 1] == "(" and source[end] == ")"
    if (
        wrapped
        and own < ATOM
        and not isinstance(parent, ast.Call | ast.ClassDef | ast.comprehension)
    ):
        if tightness >= ATOM and source[start - 2 : start - 1] in (
            " ",
            "(",
            "[",
            "-",
            "+",
            "*",
            "/",
        ):
            return after, start - 1, end + 1
        return after, start, end
    needed = _needed(node, parent)
    return (
        (
            f"({after})"
            if tightness < needed or (tightness == needed < ATOM and own >= ATOM)
            else after
        ),
        start,
        end,
    )


ATOM = 15


def _needed(node: ast.expr, parent: ast.AST | None) -> int:
    """How tightly what stands in the place of an atom must bind."""
    if isinstance(parent, ast.Attribute | ast.Subscript) and parent.value is node:
        return ATOM
    if isinstance(parent, ast.Call) and parent.func is node:
        return ATOM
    if isinstance(parent, ast.Starred | ast.Await):
        return ATOM
    if isinstance(parent, ast.expr):
        return _tightness(parent) if _tightness(parent) < ATOM else 0
    return 0


def _tightness(node: ast.AST) -> int:
    if isinstance(node, ast.BinOp):
        return OPERATORS.get(type(node.op), 12)
    if isinstance(node, ast.BoolOp | ast.UnaryOp):
        return OPERATORS[type(node.op)]
    if isinstance(node, ast.Yield | ast.YieldFrom):
        return 0
    if isinstance(node, ast.Tuple):
        return 0
    return TIGHT.get(type(node), ATOM)


@lru_cache(maxsize=4096)
def _tightness_of(text: str) -> int:
    try:
        return _tightness(ast.parse(text, mode="eval").body) if not text.startswith("(") else ATOM
    except (SyntaxError, ValueError):
        return ATOM
