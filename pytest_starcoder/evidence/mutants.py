"""The mutants by which tests are judged: small breaking edits of the bodies of functions, one of a kind at a place."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from pytest_starcoder.edits import Direction, enumerate_edits
from pytest_starcoder.text.syntax import syntax_tree
from pytest_starcoder.values.draft import Target
from pytest_starcoder.values.fix import Edit

DEAREST = 1.6
"""The cost of an edit up to which it is a mutant: beyond it stand those that nobody makes by accident."""


def mutants_of(source: str, targets: Sequence[Target]) -> dict[Target, list[Edit]]:
    """The mutants of each target of one file, in the order of the text; docstrings and signatures have none."""
    tree = syntax_tree(source)
    if tree is None or not targets:
        return {target: [] for target in targets}
    bodies = {target: _body(tree, target) for target in targets}
    lines = set().union(*bodies.values())
    cheapest: dict[tuple[str, tuple[int, int]], Edit] = {}
    for edit in enumerate_edits(source, targets[0].path, lines, direction=Direction.BREAKS):
        key = edit.kind, edit.span
        known = cheapest.get(key)
        if edit.cost <= DEAREST and (known is None or (edit.cost, edit.after) < (known.cost, known.after)):
            cheapest[key] = edit
    found = sorted(cheapest.values(), key=lambda edit: (edit.span, edit.kind))
    return {target: [edit for edit in found if edit.line in bodies[target]] for target in targets}


def lines_of(source: str, target: Target) -> frozenset[int]:
    """The lines on which statements of a target's body begin."""
    tree = syntax_tree(source)
    return frozenset() if tree is None else frozenset(_statements(tree, target))


def _body(tree: ast.Module, target: Target) -> set[int]:
    function = _function(tree, target)
    if function is None:
        return set()
    first = [node for node in function.body if not _is_docstring(node)]
    return set(range(first[0].lineno, target.last + 1)) if first else set()


def _statements(tree: ast.Module, target: Target) -> set[int]:
    function = _function(tree, target)
    if function is None:
        return set()
    return {
        node.lineno
        for statement in function.body
        if not _is_docstring(statement)
        for node in ast.walk(statement)
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Global | ast.Nonlocal)
    }


def _function(tree: ast.Module, target: Target) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == target.function:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == target.first:
                return node
    return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
