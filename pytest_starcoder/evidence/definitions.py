"""The function or class around a line, in any language: Python by its syntax tree, the others by indentation."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple

from pytest_starcoder.text.syntax import syntax_tree


class Definition(NamedTuple):
    """A definition from its first line to its last, both 1-based."""

    name: str
    first: int
    last: int


def enclosing(path: str, lines: Sequence[str], line: int, context: str = "") -> Definition | None:
    """The innermost definition around `line` (1-based) of a file of these lines; None at the top level.

    `context` is what git writes behind the second `@@`.
    """
    if not 1 <= line <= len(lines):
        return None
    if path.endswith((".py", ".pyi")):
        tree = syntax_tree("\n".join(lines))
        if tree is not None:
            return _in_python(tree, line)
    from pytest_starcoder.evidence.indented import around

    found = around(path, lines, line - 1, context)
    return None if found is None else Definition(found[0], found[1] + 1, found[2] + 1)


def _in_python(tree: ast.Module, line: int) -> Definition | None:
    found, names = None, []
    body: list[ast.AST] = [tree]
    while body:
        node = body.pop()
        for child in ast.iter_child_nodes(node):
            first = getattr(child, "lineno", 0)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([first, *(decorator.lineno for decorator in child.decorator_list)])
                if first <= line <= (child.end_lineno or 0):
                    names.append(child.name)
                    found = Definition(".".join(names), first, child.end_lineno or first)
                    body = [child]
                    break
            elif not first or first <= line <= (getattr(child, "end_lineno", 0) or 0):
                body.append(child)
    return found
