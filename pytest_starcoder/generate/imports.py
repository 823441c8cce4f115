"""The names that a module defines and imports, and the imports that a test of it needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pytest_starcoder.generate.draft import Target
from pytest_starcoder.source.syntax import syntax_tree

Import = ast.Import | ast.ImportFrom

NO_IMPORTS: Mapping[str, str] = MappingProxyType({})


def defined_names(source: str) -> list[str]:
    """Return the names that a module defines at its top level."""
    tree = syntax_tree(source)
    names: list[str] = []
    for node in tree.body if tree else ():
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.append(node.name)
            case ast.Assign(targets=targets):
                names += [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
    return names


def bound_name(alias: ast.alias) -> str:
    """Return the name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def imported_names(nodes: Iterable[ast.stmt], module: str) -> dict[str, str]:
    """Map each name that `nodes` import to an import statement for another module.

    A relative import of `module` becomes an import from `module` itself.
    """
    statements: dict[str, str] = {}
    for node in nodes:
        if not isinstance(node, Import):
            continue
        for alias in node.names:
            name = bound_name(alias)
            if isinstance(node, ast.Import):
                statements[name] = f"import {ast.unparse(alias)}"
            elif node.level:
                statements[name] = f"from {module} import {name}"
            elif node.module != "__future__" and alias.name != "*":
                statements[name] = f"from {node.module} import {ast.unparse(alias)}"
    return statements


def required_imports(
    body: Sequence[str],
    target: Target,
    names: Sequence[str],
    imports: Mapping[str, str] = NO_IMPORTS,
) -> tuple[str, ...]:
    """Return the imports that the statements of a test need.

    `names` are defined by the target's module; `imports` are statements for further names.
    """
    free = _free_names(body)
    package = target.module.partition(".")[0]
    # The target's own names come from its module, whatever the test file calls by them.
    foreign = free - {"pytest", package, *names}
    lines = []
    for name in sorted(foreign):
        if name in imports:
            lines.append(imports[name])
    if "pytest" in free:
        lines.append("import pytest")
    if lines:
        lines.append("")
    if package in free and package not in names:
        lines.append(f"import {target.module}")
    defined = sorted(free.intersection(names))
    if defined:
        lines.append(f"from {target.module} import {', '.join(defined)}")
    return tuple(lines)


def _free_names(body: Sequence[str]) -> set[str]:
    """Return the names that statements use and do not bind."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(ast.parse("\n".join(body))):
        match node:
            case ast.Import() | ast.ImportFrom():
                bound.update(map(bound_name, node.names))
            case ast.Name(id=name, ctx=ast.Store()):
                bound.add(name)
            case ast.Name(id=name):
                used.add(name)
    return used - bound
