"""Enumerates small edits of Python source, to repair it or to break it; nothing is run.

A kind of edit is a function in a module of the folder `kinds`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from pytest_starcoder.source.edits.context import Context, Observations
from pytest_starcoder.source.edits.edit import Edit, apply_edits, pair_edits
from pytest_starcoder.source.edits.kind import EXTENDED, Direction, Kind, Replacement, every_kind
from pytest_starcoder.source.edits.precedence import fit_expression
from pytest_starcoder.source.functions import lines_of
from pytest_starcoder.source.syntax import syntax_tree

__all__ = [
    "EXTENDED",
    "Direction",
    "Edit",
    "Observations",
    "apply_edits",
    "enumerate_edits",
    "pair_edits",
]

MAX_STATEMENT_LINES = 12
"""Lines of a statement that is edited as a whole; a longer one, a table, is edited by line."""

NO_OBSERVATIONS = Observations()

_COMPOUND = (
    ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.ClassDef
    | ast.If
    | ast.While
    | ast.For
    | ast.AsyncFor
    | ast.With
    | ast.AsyncWith
    | ast.Try
    | ast.Match
)


def enumerate_edits(
    source: str,
    path: str,
    lines: Collection[int],
    observed: Observations = NO_OBSERVATIONS,
    direction: Direction = Direction.REPAIRS,
) -> Iterator[Edit]:
    """Yield every edit of what begins on one of `lines` (1-based), in no particular order.

    Of edits with the same effect only the cheapest is yielded. Source that does not parse
    has none.
    """
    tree = syntax_tree(source)
    if tree is None:
        return
    context = Context(source, tree, observed)
    kinds = [kind for kind in every_kind() if kind.direction in (direction, Direction.BOTH)]
    cheapest: dict[tuple[int, int, str], Edit] = {}
    for node in _nodes(tree, frozenset(lines)):
        for kind in kinds:
            if not isinstance(node, kind.nodes):
                continue
            for edit in _edits(kind, node, context, path):
                key = (*edit.span, edit.after)
                if key not in cheapest or edit.cost < cheapest[key].cost:
                    cheapest[key] = edit
    yield from cheapest.values()


def _nodes(tree: ast.Module, lines: frozenset[int]) -> Iterator[ast.expr | ast.stmt]:
    """Yield the nodes that begin on one of the lines, or whose statement spans one of them.

    Nothing inside an f-string is yielded: its positions are unreliable before Python 3.12.
    """
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, is_selected = pending.pop()
        if isinstance(node, ast.stmt):
            # Of a compound statement only its head is selected, by the line that it begins on.
            is_selected = not isinstance(node, _COMPOUND) and _is_selected(node, lines)
        if isinstance(node, ast.expr | ast.stmt) and (is_selected or node.lineno in lines):
            yield node
        if not isinstance(node, ast.JoinedStr):
            for child in ast.iter_child_nodes(node):
                pending.append((child, is_selected))


def _is_selected(statement: ast.stmt, lines: frozenset[int]) -> bool:
    span = lines_of(statement)
    return len(span) <= MAX_STATEMENT_LINES and not lines.isdisjoint(span)


def _edits(kind: Kind, node: ast.expr | ast.stmt, context: Context, path: str) -> Iterator[Edit]:
    """Yield the edits of one node by one kind."""
    for result in kind.rule(node, context):
        replacement = Replacement(result) if isinstance(result, str) else result
        after = replacement.source
        if isinstance(node, ast.expr):
            after, start, end = fit_expression(node, after, context)
        else:
            start, end = context.decorated_span(node)
        before = context.source[start:end]
        if before == after:
            continue
        unchanged = _unchanged_lines(before, after)
        start += unchanged
        yield Edit(
            path,
            (start, end),
            before[unchanged:],
            after[unchanged:],
            replacement.kind or kind.name,
            replacement.cost or kind.cost,
            context.line_number(start),
        )


def _unchanged_lines(before: str, after: str) -> int:
    """Return the length of the whole lines at the start that are the same in both texts."""
    length = 0
    while True:
        end = before.find("\n", length) + 1
        if not end or before[length:end] != after[length:end]:
            return length
        length = end
