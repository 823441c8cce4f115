"""Finds the function around each line of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_starcoder.source.functions import Function, definition_lines


@dataclass(frozen=True)
class NamedFunction:
    """A function with its lines; `name` is qualified, such as `Basket.total`."""

    name: str
    first: int
    last: int


def functions_by_line(tree: ast.Module) -> Mapping[int, NamedFunction]:
    """Return the innermost function around each line that has one."""
    by_line: dict[int, NamedFunction] = {}
    # Outer functions come first, so inner ones replace them.
    for function in _named_functions(tree, ""):
        by_line.update(dict.fromkeys(range(function.first, function.last + 1), function))
    return by_line


def _named_functions(node: ast.AST, prefix: str) -> Iterator[NamedFunction]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            lines = definition_lines(child)
            name = f"{prefix}{child.name}"
            yield NamedFunction(name, lines[0], lines[-1])
            yield from _named_functions(child, f"{name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _named_functions(child, f"{prefix}{child.name}.")
        elif not isinstance(child, ast.expr):  # no expression contains a `def`
            yield from _named_functions(child, prefix)
