"""Lines and statements of a source file, by their numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import lru_cache

from pytest_starcoder.source.syntax import syntax_tree


@lru_cache(maxsize=16)  # only for the few files that are shown or changed
def split(source: str) -> tuple[str, ...]:
    """Return the lines of a file, as Python counts them."""
    return tuple(source.split("\n"))


def line_of(source: str, number: int) -> str:
    """Return a line by its number; empty if there is none."""
    lines = split(source)
    if not 0 < number <= len(lines):
        return ""
    return lines[number - 1]


def statement_at(source: str, line: int) -> tuple[int, int]:
    """Return the first and last line of the innermost statement on a line.

    Of a compound statement only its head counts.
    """
    lines = _long_statements(source).get(line, range(line, line + 1))
    return lines[0], lines[-1]


@lru_cache(maxsize=16)  # only for the few files that are shown or changed
def _long_statements(source: str) -> dict[int, range]:
    tree = syntax_tree(source)
    if tree is None:
        return {}
    return long_statements(ast.walk(tree))


def long_statements(nodes: Iterable[ast.AST]) -> dict[int, range]:
    """Return the statements with several lines, by each of their lines."""
    statements: dict[int, range] = {}
    for node in nodes:  # inner ones come last, and so replace outer ones
        if not isinstance(node, ast.stmt):
            continue
        lines = _statement_lines(node)
        if len(lines) > 1:
            statements.update(dict.fromkeys(lines, lines))
    return statements


def _statement_lines(statement: ast.stmt) -> range:
    """Return the lines of a statement; of a compound one those of its head."""
    end = (statement.end_lineno or statement.lineno) + 1
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if isinstance(body, list) and body:
        first = body[0]
        if isinstance(first, ast.match_case):
            first = first.pattern  # the case itself has no position
        end = max(statement.lineno + 1, min(first.lineno, end))
    return range(statement.lineno, end)


def has_code(line: str) -> bool:
    """Return whether a line is neither blank nor a comment."""
    text = line.strip()
    return bool(text) and not text.startswith("#")


def indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
