"""Drafts that need no model: of what docstrings show and what type hints say, and what often holds."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from pytest_starcoder.evidence.documented import examples_of
from pytest_starcoder.evidence.siblings import properties_of
from pytest_starcoder.evidence.smoke import smoke_of
from pytest_starcoder.text.syntax import syntax_tree
from pytest_starcoder.values.draft import Draft, Origin, Target


def seeds_of(source: str, targets: Sequence[Target], origins: Collection[Origin] = tuple(Origin)) -> list[Draft]:
    """The drafts for targets of one file, of these origins."""
    names = names_of(source)
    examples = [draft for target in targets for draft in examples_of(target, names)]
    found = list(examples) if Origin.DOCTEST in origins else []
    if Origin.SIBLING in origins:
        found += properties_of(targets, examples)
    if Origin.SMOKE in origins:
        found += smoke_of(targets, {*names, *imported_by(source)})
    return found


def imported_by(source: str) -> list[str]:
    """The names that a module imports at its top from others."""
    tree = syntax_tree(source)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)] if tree is not None else []
    return [alias.asname or alias.name for node in imports for alias in node.names]


def names_of(source: str) -> list[str]:
    """What a module defines at its top: what its tests can import from it."""
    tree = syntax_tree(source)
    found: list[str] = []
    for node in tree.body if tree is not None else ():
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.append(name)
            case ast.Assign(targets=targets):
                found += [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(name)
    return found
