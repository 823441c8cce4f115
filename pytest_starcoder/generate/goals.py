"""The mutants, lines and branches of a target, by which tests are judged."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pytest_starcoder.generate.draft import Place, Target, TargetKind
from pytest_starcoder.generate.statements import is_string
from pytest_starcoder.source.edits import Direction, enumerate_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.functions import Function

# The highest cost of an edit that counts as a mutant; nobody makes dearer ones by accident.
MAX_COST = 1.6


def find_mutants(source: str, targets: Sequence[Target]) -> dict[Target, list[Edit]]:
    """Return the mutants of each target of one file, in the order of the source.

    They are breaking edits in the bodies of functions: at each place the cheapest of each kind.
    """
    bodies = {target: _body_lines(target) for target in targets}
    lines = set().union(*bodies.values())
    if not lines:
        return {target: [] for target in targets}
    cheapest: dict[tuple[tuple[int, int], str], Edit] = {}
    for edit in enumerate_edits(source, targets[0].path, lines, direction=Direction.BREAKS):
        if edit.cost <= MAX_COST:
            place = (edit.span, edit.kind)
            rival = cheapest.setdefault(place, edit)
            if (edit.cost, edit.after) < (rival.cost, rival.after):
                cheapest[place] = edit
    mutants: dict[Target, list[Edit]] = {target: [] for target in targets}
    for place in sorted(cheapest):
        edit = cheapest[place]
        for target, body in bodies.items():
            if edit.line in body:
                mutants[target].append(edit)
    return mutants


def find_lines(target: Target) -> set[Place]:
    """Return the lines on which the statements of a target begin."""
    return {Place(target.path, statement.lineno) for statement in _statements(target)}


def find_branches(target: Target) -> dict[Place, tuple[range, int]]:
    """Map the branches of each `if`, `while` and `for` to the lines of its head, and the first
    line of its body.
    """
    branches: dict[Place, tuple[range, int]] = {}
    for statement in _statements(target):
        match statement:
            case ast.If(test=head) | ast.While(test=head):
                pass
            case ast.For(iter=head) | ast.AsyncFor(iter=head):
                pass
            case _:
                continue
        lines = range(statement.lineno, (head.end_lineno or statement.lineno) + 1)
        body = statement.body[0].lineno
        # `while True:` is no choice, and lines cannot tell the branches of `if x: return`.
        if body not in lines and not isinstance(head, ast.Constant):
            for enters in (True, False):
                branches[Place(target.path, statement.lineno, enters)] = (lines, body)
    return branches


def _body_lines(target: Target) -> set[int]:
    """Return the lines of a function's body, without the docstring."""
    if not isinstance(target.node, Function):
        return set()
    body = [node for node in target.node.body if not is_string(node)]
    return set(range(body[0].lineno, target.last + 1)) if body else set()


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
            if isinstance(node, ast.Global | ast.Nonlocal) or is_string(node):
                continue
            if isinstance(node, ast.stmt) and not (isinstance(node, ast.ClassDef) and is_module):
                yield node
