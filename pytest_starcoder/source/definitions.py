"""The function or class around a line, in any language: Python by its syntax tree, the others by indentation."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_starcoder.source.indentation import Indented
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
        # Without a syntax tree, also for Python that does not parse.
        self._indented = Indented(path, lines) if self._innermost is None else None

    def around(self, line: int, context: str = "", hunk: int = 0) -> Definition | None:
        """Return the innermost definition around `line` (1-based); None at the top level.

        `context` is the text after the second `@@` of the hunk that begins with the line
        `hunk` (default: `line`).
        """
        if not 1 <= line <= self._count:
            return None
        if self._innermost is not None:
            return self._innermost[line]
        assert self._indented is not None
        place = self._indented.around(line - 1, context, (hunk or line) - 1)
        return None if place is None else Definition(place[0], place[1] + 1, place[2] + 1)


def enclosing(path: str, lines: Sequence[str], line: int, context: str = "") -> Definition | None:
    """Return the innermost definition around `line` (1-based); None at the top level."""
    return Definitions(path, lines).around(line, context)


def _innermost(tree: ast.Module, count: int) -> list[Definition | None]:
    """Map each line (1-based) to its innermost definition."""
    innermost: list[Definition | None] = [None] * (count + 1)
    for definition in _in_python(tree):  # the outer ones come first
        last = min(definition.last, count)
        innermost[definition.first : last + 1] = [definition] * (last + 1 - definition.first)
    return innermost


def _in_python(tree: ast.Module) -> Iterator[Definition]:
    """Return all definitions of a module, outer before inner."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min(
                    [child.lineno, *(decorator.lineno for decorator in child.decorator_list)]
                )
                yield Definition(prefix + child.name, first, child.end_lineno or first)
                waiting.append((child, f"{prefix}{child.name}."))
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                waiting.append((child, prefix))  # expressions contain no definitions
