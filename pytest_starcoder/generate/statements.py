"""Properties of Python statements: assertions, docstrings, and the names they use."""

from __future__ import annotations

import ast


def is_string(node: ast.AST) -> bool:
    """Return whether a statement is only a string, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def expects_exception(node: ast.AST) -> bool:
    """Return whether a node is `with pytest.raises(…)`."""
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    return any("raises" in ast.unparse(item.context_expr) for item in node.items)


def mentions(node: ast.AST, name: str) -> bool:
    """Return whether `name` occurs in a node, as a variable or as an attribute."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == name:
            return True
        if isinstance(part, ast.Attribute) and part.attr == name:
            return True
    return False
