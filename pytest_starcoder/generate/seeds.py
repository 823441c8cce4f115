"""Drafts that need no model: of what docstrings show and what type hints say, and what often holds."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from pytest_starcoder.generate.docstrings import examples_of
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.siblings import properties_of
from pytest_starcoder.generate.type_hints import smoke_of
from pytest_starcoder.source.syntax import syntax_tree


def seeds_of(
    source: str, targets: Sequence[Target], origins: Collection[Origin] = tuple(Origin)
) -> list[Draft]:
    """The drafts for targets of one file, of these origins."""
    names = names_of(source)
    imports = imported_by(source, targets[0].module) if targets else {}
    examples = [draft for target in targets for draft in examples_of(target, names, imports)]
    found = list(examples) if Origin.DOCTEST in origins else []
    if Origin.SIBLING in origins:
        found += properties_of(targets, examples)
    if Origin.SMOKE in origins:
        found += smoke_of(targets, {*names, *imports})
    return found


def imported_by(source: str, module: str) -> dict[str, str]:
    """The names that a module imports at its top, each with a statement that imports it elsewhere."""
    tree = syntax_tree(source)
    found: dict[str, str] = {}
    for node in tree.body if tree is not None else ():
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if isinstance(node, ast.Import):
                found[name] = f"import {ast.unparse(alias)}"
            elif node.module != "__future__" and alias.name != "*":
                start = f"from {node.module}" if not node.level else f"from {module}"
                found[name] = f"{start} import {name if node.level else ast.unparse(alias)}"
    return found


def names_of(source: str) -> list[str]:
    """What a module defines at its top: what its tests can import from it."""
    tree = syntax_tree(source)
    found: list[str] = []
    for node in tree.body if tree is not None else ():
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                found.append(name)
            case ast.Assign(targets=targets):
                found += [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(name)
    return found
