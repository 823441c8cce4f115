"""Rewrites assertions of unittest as those of pytest."""

from __future__ import annotations

import ast
from collections.abc import Callable

_OPERATORS: dict[str, type[ast.cmpop]] = {
    "assertEqual": ast.Eq,
    "assertEquals": ast.Eq,
    "assertListEqual": ast.Eq,
    "assertDictEqual": ast.Eq,
    "assertTupleEqual": ast.Eq,
    "assertSetEqual": ast.Eq,
    "assertNotEqual": ast.NotEq,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
}
_CONDITIONS: dict[str, Callable[[ast.expr], ast.expr]] = {
    "assertTrue": lambda value: value,
    "assertFalse": lambda value: ast.UnaryOp(ast.Not(), value),
    "assertIsNone": lambda value: ast.Compare(value, [ast.Is()], [ast.Constant(None)]),
    "assertIsNotNone": lambda value: ast.Compare(value, [ast.IsNot()], [ast.Constant(None)]),
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
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("self"), attr="assertRaises"), args=[kind]
                ):
                    item.context_expr = _pytest_call("raises", kind)
        return node


def _assertion(
    name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
) -> ast.stmt | None:
    """Return the statement for `self.name(arguments)`; None if it is no known assertion."""
    match arguments:
        case [value, *_] if name in _CONDITIONS:
            return ast.Assert(_CONDITIONS[name](value))
        case [actual, expected, *_] if name in _OPERATORS:
            return ast.Assert(ast.Compare(actual, [_OPERATORS[name]()], [expected]))
        case [actual, expected, *_] if name == "assertAlmostEqual":
            approximation = _pytest_call("approx", expected)
            return ast.Assert(ast.Compare(actual, [ast.Eq()], [approximation]))
        case [value, kind, *_] if name == "assertIsInstance":
            return ast.Assert(ast.Call(ast.Name("isinstance"), [value, kind], []))
        case [kind, function, *passed] if name == "assertRaises":
            call = ast.Expr(ast.Call(function, passed, keywords))
            return ast.With([ast.withitem(_pytest_call("raises", kind))], [call])
    return None


def _pytest_call(name: str, value: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("pytest"), name), [value], [])
