"""Assertions of unittest as those of pytest: statements in, statements out."""

from __future__ import annotations

import ast
from collections.abc import Callable

_COMPARED: dict[str, type[ast.cmpop]] = {
    "assertEqual": ast.Eq, "assertEquals": ast.Eq, "assertListEqual": ast.Eq, "assertDictEqual": ast.Eq,
    "assertTupleEqual": ast.Eq, "assertSetEqual": ast.Eq, "assertNotEqual": ast.NotEq,
    "assertIs": ast.Is, "assertIsNot": ast.IsNot, "assertIn": ast.In, "assertNotIn": ast.NotIn,
    "assertLess": ast.Lt, "assertLessEqual": ast.LtE, "assertGreater": ast.Gt, "assertGreaterEqual": ast.GtE,
}  # fmt: skip
_SAID: dict[str, Callable[[ast.expr], ast.expr]] = {
    "assertTrue": lambda value: value,
    "assertFalse": lambda value: ast.UnaryOp(ast.Not(), value),
    "assertIsNone": lambda value: ast.Compare(value, [ast.Is()], [ast.Constant(None)]),
    "assertIsNotNone": lambda value: ast.Compare(value, [ast.IsNot()], [ast.Constant(None)]),
}


def plain(statement: ast.stmt) -> ast.stmt:
    """The statement with `self.assertEqual(a, b)` and its like in it as `assert a == b`; messages are dropped."""
    found: ast.stmt = _Plain().visit(statement)
    return ast.fix_missing_locations(found)


class _Plain(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        match node.value:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr=name), args=[first, second, *_]
            ) if name in _COMPARED:
                return ast.Assert(ast.Compare(first, [_COMPARED[name]()], [second]))
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr=name), args=[value, *_]
            ) if name in _SAID:
                return ast.Assert(_SAID[name](value))
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr="assertAlmostEqual"),
                args=[one, other, *_],
            ):
                return ast.Assert(ast.Compare(one, [ast.Eq()], [_pytest("approx", other)]))
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr="assertIsInstance"),
                args=[value, kind, *_],
            ):
                return ast.Assert(ast.Call(ast.Name("isinstance"), [value, kind], []))
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr="assertRaises"),
                args=[kind, called, *given],
            ):
                raises = ast.withitem(_pytest("raises", kind))
                return ast.With([raises], [ast.Expr(ast.Call(called, given, node.value.keywords))])
        return node

    def visit_With(self, node: ast.With) -> ast.stmt:
        self.generic_visit(node)
        for item in node.items:
            match item.context_expr:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("self"), attr="assertRaises"), args=[kind]
                ):
                    item.context_expr = _pytest("raises", kind)
        return node


def _pytest(name: str, value: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("pytest"), name), [value], [])
