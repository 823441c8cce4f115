"""What stands around a function's body: decorators, default values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, is_text, kind


@kind("decorator dropped", ast.FunctionDef, ast.AsyncFunctionDef, cost=2.0)
def undecorated(node: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> Iterator[str]:
    start, end = place.whole(node)
    whole, indent = place.source[start:end], place.indent(node)
    lines = whole.split("\n")
    first = node.decorator_list[0].lineno if node.decorator_list else 0
    for decorator in node.decorator_list:
        index = decorator.lineno - first
        if (decorator.end_lineno or decorator.lineno) == decorator.lineno:
            kept = [*lines[:index], *lines[index + 1 :]]
            yield "\n".join(kept).removeprefix(indent)


@kind("decorator exchanged", ast.FunctionDef, ast.AsyncFunctionDef, cost=2.0)
def redecorated(node: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> Iterator[str]:
    start, end = place.whole(node)
    whole = place.source[start:end]
    known = ("staticmethod", "classmethod", "property")
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Name) and decorator.id in known:
            for other in known:
                if other != decorator.id:
                    yield whole.replace(f"@{decorator.id}", f"@{other}", 1)


@kind("decorator added", ast.FunctionDef, cost=2.8)
def decorated(node: ast.FunctionDef, place: Place) -> Iterator[str]:
    if isinstance(place.parents.get(node), ast.ClassDef) and not node.decorator_list:
        arguments = [argument.arg for argument in node.args.args]
        others = (
            ("property",)
            if arguments == ["self"]
            else ("staticmethod",)
            if "self" not in arguments[:1]
            else ()
        )
        for other in (*others, *(("classmethod",) if arguments[:1] == ["cls"] else ())):
            yield f"@{other}\n{place.indent(node)}{place.text(node)}"


@kind("default value shared", ast.FunctionDef, ast.AsyncFunctionDef, cost=1.9)
def unshared(node: ast.FunctionDef | ast.AsyncFunctionDef, place: Place) -> Iterator[str]:
    """`def f(xs=[])` with None as the default, and a new list for each call."""
    arguments = (
        [*node.args.posonlyargs, *node.args.args][-len(node.args.defaults) :]
        if node.args.defaults
        else []
    )
    start, end = place.whole(node)
    whole = place.source[start:end]
    for argument, value in zip(arguments, node.args.defaults, strict=True):
        if isinstance(value, ast.List | ast.Dict | ast.Set) or place.text(value) in (
            "list()",
            "dict()",
            "set()",
        ):
            first, last = (edge - start for edge in place.span(value))
            body = next((part for part in node.body if not is_text(part)), node.body[-1])
            at = place.span(body)[0] - start
            indent = place.indent(body)
            guard = f"if {argument.arg} is None:\n{indent}    {argument.arg} = {place.text(value)}\n{indent}"
            yield whole[:first] + "None" + whole[last:at] + guard + whole[at:]
