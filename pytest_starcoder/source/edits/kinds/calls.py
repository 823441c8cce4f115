"""Calls: other functions and methods, arguments swapped or dropped, wrapped and unwrapped."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, is_value, kind

FUNCTIONS = (
    "min max sum len", "any all", "int float round abs", "str repr", "list tuple set sorted reversed",
    "math.floor math.ceil int round", "floor ceil", "isinstance issubclass", "range enumerate", "ord chr",
    "math.log math.log2 math.log10", "dict list", "zip map", "bin oct hex", "sorted set", "sum max",
)  # fmt: skip

METHODS = (
    "append extend insert add", "startswith endswith", "find rfind index rindex", "keys values items",
    "lower upper title capitalize swapcase", "strip lstrip rstrip", "pop popleft", "append appendleft",
    "union intersection difference symmetric_difference", "issubset issuperset", "get setdefault pop",
    "isalpha isdigit isalnum isnumeric isspace", "isupper islower", "remove discard pop", "split rsplit splitlines",
    "join format", "removeprefix removesuffix", "match search fullmatch", "findall finditer", "update add",
    "ljust rjust center", "count index", "sort reverse", "partition rpartition", "days seconds total_seconds",
)  # fmt: skip

WRAPS = (
    "abs",
    "sorted",
    "list",
    "set",
    "str",
    "int",
    "len",
    "sum",
    "float",
    "round",
    "reversed",
    "tuple",
    "max",
    "min",
    "bool",
)

GROUPS: dict[str, list[str]] = {}
for row in FUNCTIONS:
    for word in row.split():
        GROUPS.setdefault(word, []).extend(other for other in row.split() if other != word)
KINDRED: dict[str, list[str]] = {}
for row in METHODS:
    for word in row.split():
        KINDRED.setdefault(word, []).extend(other for other in row.split() if other != word)


def _arguments(node: ast.Call, place: Place) -> list[str]:
    return [place.operand(value) for value in node.args] + [
        f"{word.arg}={place.operand(word.value)}" if word.arg else f"**{place.operand(word.value)}"
        for word in node.keywords
    ]


def _call(node: ast.Call, place: Place, arguments: list[str]) -> str:
    return f"{place.operand(node.func)}({', '.join(arguments)})"


@kind("other function", ast.Call, cost=1.5)
def function(node: ast.Call, place: Place) -> Iterator[str]:
    for other in GROUPS.get(
        ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else "", ()
    ):
        yield f"{other}({', '.join(_arguments(node, place))})"


@kind("other method", ast.Call, cost=1.5)
def method(node: ast.Call, place: Place) -> Iterator[Text]:
    if isinstance(node.func, ast.Attribute):
        arguments = _arguments(node, place)
        for other in KINDRED.get(node.func.attr, ()):
            given = ["0", *arguments] if other == "insert" else arguments
            yield Text(f"{place.operand(node.func.value)}.{other}({', '.join(given)})", 1.5)


@kind("arguments swapped", ast.Call, cost=1.6)
def swapped(node: ast.Call, place: Place) -> Iterator[str]:
    arguments = _arguments(node, place)
    for index in range(len(node.args) - 1):
        given = list(arguments)
        given[index], given[index + 1] = given[index + 1], given[index]
        yield _call(node, place, given)
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute) and not node.keywords:
        yield f"{place.operand(node.args[0])}.{node.func.attr}({place.operand(node.func.value)})"


@kind("argument dropped", ast.Call, cost=1.9)
def dropped(node: ast.Call, place: Place) -> Iterator[str]:
    arguments = _arguments(node, place)
    for index in range(len(arguments)):
        yield _call(node, place, [*arguments[:index], *arguments[index + 1 :]])


@kind("keyword added", ast.Call, cost=2.6)
def worded(node: ast.Call, place: Place) -> Iterator[str]:
    """`f(x)` as `f(x, name=name)`, with the parameters of the function around that the call does not hand on."""
    around = place.function(node)
    if around is None or any(word.arg is None for word in node.keywords):
        return
    arguments = _arguments(node, place)
    for argument in (*around.args.args, *around.args.kwonlyargs):
        name = argument.arg
        if name not in ("self", "cls") and not any(
            name == given or given.startswith(f"{name}=") for given in arguments
        ):
            yield _call(node, place, [*arguments, f"{name}={name}"])


@kind("call unwrapped", ast.Call, cost=1.4)
def unwrapped(node: ast.Call, place: Place) -> Iterator[Text]:
    for value in node.args[:2]:
        if not isinstance(value, ast.Starred | ast.GeneratorExp):
            yield Text(place.operand(value), 1.4 if isinstance(node.func, ast.Name) else 2.0)
    if isinstance(node.func, ast.Attribute):
        yield Text(place.operand(node.func.value), 1.6)


VALUES = (ast.Name, ast.Call, ast.BinOp, ast.Subscript, ast.Attribute, ast.ListComp, ast.IfExp)


@kind("call wrapped", *VALUES, cost=2.3)
def wrapped(node: ast.expr, place: Place) -> Iterator[Text]:
    if is_value(node, place):
        own = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        for rank, other in enumerate(WRAPS):
            if other != own:
                yield Text(f"{other}({place.operand(node)})", 2.3 + 0.04 * rank)


@kind("method wrapped", *VALUES, cost=2.6)
def with_method(node: ast.expr, place: Place) -> Iterator[str]:
    types = (
        place.types(node).get(node.id, frozenset()) if isinstance(node, ast.Name) else frozenset()
    )
    if is_value(node, place) and (not types or "str" in types):
        own = place.operand(node)
        own = (
            f"({own})"
            if isinstance(node, ast.BinOp | ast.IfExp) and not own.startswith("(")
            else own
        )
        for other in (
            "lower",
            "upper",
            "strip",
            "split",
            *(() if types else ("copy", "keys", "values", "items")),
        ):
            yield f"{own}.{other}()"


@kind("key given", ast.Call, cost=2.8)
def keyed(node: ast.Call, place: Place) -> Iterator[str]:
    named = node.func.id if isinstance(node.func, ast.Name) else ""
    if named in ("sorted", "max", "min") and len(node.args) == 1 and not node.keywords:
        for extra in ("key=len", "key=abs", "key=str", "default=0", "default=None", "reverse=True"):
            if (named == "sorted") != extra.startswith("default"):
                yield f"{named}({place.operand(node.args[0])}, {extra})"


@kind("default given", ast.Call, cost=2.4)
def defaulted(node: ast.Call, place: Place) -> Iterator[str]:
    if (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
        and len(node.args) == 1
    ):
        for other in ("0", "None", '""', "[]"):
            yield f"{place.text(node.func)}({place.operand(node.args[0])}, {other})"


@kind("await dropped", ast.Await, cost=1.8)
def unawaited(node: ast.Await, place: Place) -> Iterator[str]:
    yield place.operand(node.value)


@kind("await added", ast.Call, cost=2.2)
def awaited(node: ast.Call, place: Place) -> Iterator[str]:
    if isinstance(place.function(node), ast.AsyncFunctionDef) and not isinstance(
        place.parents.get(node), ast.Await
    ):
        yield f"await {place.text(node)}"


@kind("recursion argument", ast.Call, cost=3.4)
def recursion(node: ast.Call, place: Place) -> Iterator[str]:
    around = place.function(node)
    if around is not None and isinstance(node.func, ast.Name) and node.func.id == around.name:
        arguments = _arguments(node, place)
        names = [argument.arg for argument in around.args.args]
        for index in range(len(node.args)):
            own = names[index] if index < len(names) else ""
            for other in dict.fromkeys(
                (own, f"{own} - 1", f"{own} + 1", f"{own}[1:]", f"{own}[:-1]", *names)
            ):
                if own and other != arguments[index]:
                    yield _call(node, place, [*arguments[:index], other, *arguments[index + 1 :]])
