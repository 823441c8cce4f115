"""Finds the function or class around a line: Python by its syntax, others by indentation."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_starcoder.source.functions import definition_lines
from pytest_starcoder.source.indentation import IndentedFile
from pytest_starcoder.source.syntax import syntax_tree


class Definition(NamedTuple):
    """A definition from its first line to its last, both 1-based."""

    name: str
    first: int
    last: int


class Definitions:
    """The definitions in the lines of a file, parsed once for any number of queries.

    `text` is the whole file as one string, if available.
    """

    def __init__(self, path: str, lines: Sequence[str], text: str | None = None) -> None:
        self._count = len(lines)
        self._innermost: list[Definition | None] | None = None
        if path.endswith((".py", ".pyi")):
            source = "\n".join(lines) if text is None else text
            tree = syntax_tree(source.removeprefix("\ufeff"))
            if tree is not None:
                self._innermost = _innermost(tree, len(lines))
        # Also for Python that does not parse.
        self._indented = IndentedFile(path, lines)

    def around(self, line: int, context: str = "", hunk: int = 0) -> Definition | None:
        """Return the innermost definition around `line` (1-based); None at the top level.

        `context` is the text after the second `@@` of the hunk that begins with the line
        `hunk` (default: `line`).
        """
        if not 1 <= line <= self._count:
            return None
        if self._innermost is not None:
            return self._innermost[line]
        span = self._indented.around(line - 1, context, (hunk or line) - 1)
        if span is None:
            return None
        name, first, last = span
        return Definition(name, first + 1, last + 1)


def enclosing(path: str, lines: Sequence[str], line: int, context: str = "") -> Definition | None:
    """Return the innermost definition around `line` (1-based); None at the top level."""
    return Definitions(path, lines).around(line, context)


def _innermost(tree: ast.Module, count: int) -> list[Definition | None]:
    """Map each line (1-based) to its innermost definition."""
    innermost: list[Definition | None] = [None] * (count + 1)
    for definition in _python_definitions(tree):  # the outer ones come first
        for line in range(definition.first, min(definition.last, count) + 1):
            innermost[line] = definition
    return innermost


def _python_definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield all definitions of a module, outer before inner."""
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = prefix + child.name
                lines = definition_lines(child)
                yield Definition(name, lines.start, lines[-1])
                pending.append((child, f"{name}."))
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                pending.append((child, prefix))  # expressions contain no definitions
