"""The goals of the tests of a target: mutants to kill, lines and branches to cover."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_starcoder.generate.draft import Target, TargetKind
from pytest_starcoder.generate.statements import is_string
from pytest_starcoder.source.edits import Direction, enumerate_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.functions import Function

# The highest cost of an edit that counts as a mutant. People hardly make costlier ones by accident.
MAX_COST = 1.6


class Place(NamedTuple):
    """A line to cover, or a branch to take.

    `enters` is None for the line itself. For a branch it says whether the body of the `if`, `for`
    or `while` on the line is entered or skipped.
    """

    path: str
    line: int
    enters: bool | None = None


def find_mutants(source: str, targets: Sequence[Target]) -> dict[Target, list[Edit]]:
    """Return the mutants of each target of one file, in the order of the source.

    Mutants are breaking edits in the bodies of functions: at each place the cheapest of each kind.
    """
    bodies = {target: _body_lines(target) for target in targets}
    mutants: dict[Target, list[Edit]] = {target: [] for target in targets}
    lines = set().union(*bodies.values())
    if not lines:
        return mutants
    path = targets[0].path
    for edit in _cheapest_edits(source, path, lines):
        for target, body in bodies.items():
            if edit.line in body:
                mutants[target].append(edit)
    return mutants


def _cheapest_edits(source: str, path: str, lines: set[int]) -> list[Edit]:
    """Return the cheapest breaking edit of each kind at each place, in the order of the source."""
    cheapest: dict[tuple[tuple[int, int], str], Edit] = {}
    for edit in enumerate_edits(source, path, lines, direction=Direction.BREAKS):
        if edit.cost > MAX_COST:
            continue
        key = (edit.span, edit.kind)
        rival = cheapest.setdefault(key, edit)
        # The text decides between equal costs, so that the choice does not depend on the order.
        if (edit.cost, edit.after) < (rival.cost, rival.after):
            cheapest[key] = edit
    return [cheapest[key] for key in sorted(cheapest)]


def find_lines(target: Target) -> set[Place]:
    """Return the lines on which the statements of a target begin."""
    return {Place(target.path, statement.lineno) for statement in _statements(target)}


def find_branches(target: Target) -> dict[Place, tuple[range, int]]:
    """Map each branch to the lines of its `if`, `while` or `for`, and the first of its body."""
    branches: dict[Place, tuple[range, int]] = {}
    for statement in _statements(target):
        match statement:
            case ast.If(test=head) | ast.While(test=head):
                pass
            case ast.For(iter=head) | ast.AsyncFor(iter=head):
                pass
            case _:
                continue
        start = statement.lineno
        lines = range(start, (head.end_lineno or start) + 1)
        body = statement.body[0].lineno
        # `while True:` is no choice, and lines cannot tell the branches of `if x: return`.
        if body in lines or isinstance(head, ast.Constant):
            continue
        for enters in (True, False):
            branches[Place(target.path, start, enters)] = (lines, body)
    return branches


def _body_lines(target: Target) -> set[int]:
    """Return the lines of a function's body, without the docstring."""
    if not isinstance(target.node, Function):
        return set()
    for statement in target.node.body:
        if not is_string(statement):
            return set(range(statement.lineno, target.last + 1))
    return set()


def _statements(target: Target) -> Iterator[ast.stmt]:
    """Yield the executed statements of a target that belong to no other target."""
    if target.kind is TargetKind.CLASS or target.node is None:
        return
    is_module = target.kind is TargetKind.MODULE
    waiting = [target.node]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, Function) and is_module:
                continue  # a target of its own
            waiting.append(node)
            if isinstance(node, ast.stmt) and not _is_silent(node, is_module):
                yield node


def _is_silent(statement: ast.stmt, is_module: bool) -> bool:
    """Return whether a statement is never reported as executed, or belongs to another target."""
    if isinstance(statement, ast.ClassDef):
        return is_module
    return isinstance(statement, ast.Global | ast.Nonlocal) or is_string(statement)
