"""The mutants by which tests are judged: small breaking edits of the bodies of functions, one of a kind at a place."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pytest_starcoder.generate.draft import Branch, Kind, Target
from pytest_starcoder.source.edits import Direction, enumerate_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import syntax_tree

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
        if edit.cost <= DEAREST and (
            known is None or (edit.cost, edit.after) < (known.cost, known.after)
        ):
            cheapest[key] = edit
    found = sorted(cheapest.values(), key=lambda edit: (edit.span, edit.kind))
    return {target: [edit for edit in found if edit.line in bodies[target]] for target in targets}


def lines_of(source: str, target: Target) -> frozenset[int]:
    """The lines on which statements of a target begin, those of definitions in it left out."""
    return frozenset(node.lineno for node in _statements(syntax_tree(source), target))


def branches_of(source: str, target: Target) -> dict[Branch, tuple[range, int]]:
    """The ways that execution can take in a target: into the body of an `if`, a `while` or a `for`, and past it.

    Each with the lines of its head, and the first line of the body.
    """
    found: dict[Branch, tuple[range, int]] = {}
    for node in _statements(syntax_tree(source), target):
        if isinstance(node, ast.If | ast.While | ast.For | ast.AsyncFor):
            head = node.test if isinstance(node, ast.If | ast.While) else node.iter
            lines = range(node.lineno, (head.end_lineno or node.lineno) + 1)
            if node.body[0].lineno not in lines and not isinstance(head, ast.Constant):
                found |= {(node.lineno, way): (lines, node.body[0].lineno) for way in (True, False)}
    return found


def _body(tree: ast.Module, target: Target) -> set[int]:
    function = _function(tree, target)
    if function is None:
        return set()
    first = [node for node in function.body if not _is_docstring(node)]
    return set(range(first[0].lineno, target.last + 1)) if first else set()


def _statements(tree: ast.Module | None, target: Target) -> Iterator[ast.stmt]:
    """What is executed in a target and in no other one."""
    if tree is None or target.kind is Kind.CLASS:
        return
    waiting: list[ast.AST] = (
        [tree] if target.kind is Kind.MODULE else [*filter(None, [_function(tree, target)])]
    )
    within = target.kind is not Kind.MODULE
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not within:
                continue  # a target of its own
            told = not isinstance(node, ast.Global | ast.Nonlocal) and not _is_docstring(node)
            if isinstance(node, ast.stmt) and told and not (not within and _is_definition(node)):
                yield node
            waiting.append(node)


def _is_definition(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _function(tree: ast.Module, target: Target) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == target.function
        ):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == target.first:
                return node
    return None


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
