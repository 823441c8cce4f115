"""The functions of a source file, as syntax trees."""

from __future__ import annotations

import ast
import linecache
import types
from functools import lru_cache

from pytest_starcoder.source.syntax import syntax_tree

Function = ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(maxsize=16)  # only for the few files of a traceback
def functions(source: str) -> tuple[Function, ...]:
    """Return every `def` in `source`."""
    tree = syntax_tree(source)
    if tree is None:
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, Function))


def definition_lines(node: Function | ast.ClassDef) -> range:
    """Return the lines of a function or class, its decorators included."""
    # A node begins at its `def`, not at its first decorator.
    first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
    return range(first, lines_of(node).stop)


def lines_of(node: ast.stmt | ast.expr) -> range:
    """Return the lines of a node; those of a function's decorators are not among them."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def source_of(code: types.CodeType) -> str:
    """Return the text of the file that `code` comes from; empty if there is none."""
    return "".join(linecache.getlines(code.co_filename))


def function_of(code: types.CodeType) -> Function | ast.Module | None:
    """Return the syntax tree of the function or module that `code` was compiled from."""
    source = source_of(code)
    if code.co_name == "<module>":
        return syntax_tree(source)
    for node in functions(source):
        first = definition_lines(node).start
        # Code begins at its first decorator, the node at its `def`.
        if node.name == code.co_name and first <= code.co_firstlineno <= node.lineno:
            return node
    return None


def lines_of_tests(source: str) -> frozenset[int]:
    """Return the lines of functions that are tests by their names."""
    lines: set[int] = set()
    for node in functions(source):
        if node.name.startswith("test"):
            lines.update(definition_lines(node))
    return frozenset(lines)
