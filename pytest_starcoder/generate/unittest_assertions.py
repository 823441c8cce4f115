"""Rewrites assertions of unittest as those of pytest."""

from __future__ import annotations

import ast

# The condition that each method asserts, with its arguments.
_CONDITIONS = {
    "assertEqual": "{0} == {1}",
    "assertEquals": "{0} == {1}",
    "assertListEqual": "{0} == {1}",
    "assertDictEqual": "{0} == {1}",
    "assertTupleEqual": "{0} == {1}",
    "assertSetEqual": "{0} == {1}",
    "assertNotEqual": "{0} != {1}",
    "assertAlmostEqual": "{0} == pytest.approx({1})",
    "assertIs": "{0} is {1}",
    "assertIsNot": "{0} is not {1}",
    "assertIn": "{0} in {1}",
    "assertNotIn": "{0} not in {1}",
    "assertLess": "{0} < {1}",
    "assertLessEqual": "{0} <= {1}",
    "assertGreater": "{0} > {1}",
    "assertGreaterEqual": "{0} >= {1}",
    "assertIsInstance": "isinstance({0}, {1})",
    "assertTrue": "{0}",
    "assertFalse": "not {0}",
    "assertIsNone": "{0} is None",
    "assertIsNotNone": "{0} is not None",
}


def to_pytest(statement: ast.stmt) -> ast.stmt:
    """Return a statement with `self.assertEqual(a, b)` and the like as `assert a == b`.

    Messages are dropped.
    """
    rewritten: ast.stmt = _Rewriter().visit(statement)
    return ast.fix_missing_locations(rewritten)


class _Rewriter(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        match node.value:
            case ast.Call(func=ast.Attribute(value=ast.Name("self"), attr=name), args=arguments):
                return _assertion(name, arguments, node.value.keywords) or node
        return node

    def visit_With(self, node: ast.With) -> ast.stmt:
        self.generic_visit(node)
        for item in node.items:
            match item.context_expr:
                case ast.Call(func=ast.Attribute(value=ast.Name("self"), attr="assertRaises")):
                    item.context_expr.func = ast.Attribute(ast.Name("pytest"), "raises")
        return node


def _assertion(
    name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
) -> ast.stmt | None:
    """Return the statement for `self.name(arguments)`; None if it is no known assertion."""
    if name == "assertRaises" and len(arguments) > 1:
        exception, function, *passed = arguments
        call = ast.unparse(ast.Call(function, passed, keywords))
        return ast.parse(f"with pytest.raises({ast.unparse(exception)}):\n    {call}").body[0]
    # Each argument may be an operation of lower precedence.
    texts = [f"({ast.unparse(argument)})" for argument in arguments]
    try:
        condition = _CONDITIONS[name].format(*texts)
    except LookupError:
        return None  # another method, or too few arguments
    return ast.parse(f"assert {condition}").body[0]
