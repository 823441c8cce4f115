"""Calls of other functions or with other arguments, and calls wrapped around values."""

from __future__ import annotations

import ast

from pytest_starcoder.source.edits.context import Context, called_name
from pytest_starcoder.source.edits.kind import (
    Replacement,
    Replacements,
    drop_each,
    kind,
    replace_item,
    swap_neighbours,
)
from pytest_starcoder.source.edits.template import fill


def _alternatives(*rows: str) -> dict[str, list[str]]:
    """Map each word to the other words of its rows."""
    alternatives: dict[str, list[str]] = {}
    for row in rows:
        words = row.split()
        for word, alternative_words in zip(words, drop_each(words), strict=True):
            alternatives.setdefault(word, []).extend(alternative_words)
    return alternatives


FUNCTIONS = _alternatives(
    "min max sum len",
    "any all",
    "int float round abs",
    "str repr",
    "list tuple set sorted reversed",
    "math.floor math.ceil int round",
    "floor ceil",
    "isinstance issubclass",
    "range enumerate",
    "ord chr",
    "math.log math.log2 math.log10",
    "dict list",
    "zip map",
    "bin oct hex",
    "sorted set",
    "sum max",
)

METHODS = _alternatives(
    "append extend insert add",
    "startswith endswith",
    "find rfind index rindex",
    "keys values items",
    "lower upper title capitalize swapcase",
    "strip lstrip rstrip",
    "pop popleft",
    "append appendleft",
    "union intersection difference symmetric_difference",
    "issubset issuperset",
    "get setdefault pop",
    "isalpha isdigit isalnum isnumeric isspace",
    "isupper islower",
    "remove discard pop",
    "split rsplit splitlines",
    "join format",
    "removeprefix removesuffix",
    "match search fullmatch",
    "findall finditer",
    "update add",
    "ljust rjust center",
    "count index",
    "sort reverse",
    "partition rpartition",
    "days seconds total_seconds",
)

WRAPPERS = "abs sorted list set str int len sum float round reversed tuple max min bool".split()

STEPS = (" - 1", " + 1", "[1:]", "[:-1]")
"""Ways in which a recursive call makes its argument smaller, or larger by mistake."""

Value = ast.Name | ast.Call | ast.BinOp | ast.Subscript | ast.Attribute | ast.ListComp | ast.IfExp


def _keywords(node: ast.Call, context: Context) -> list[str]:
    keywords = []
    for keyword in node.keywords:
        value = context.operand(keyword.value)
        keywords.append(f"{keyword.arg}={value}" if keyword.arg else f"**{value}")
    return keywords


def _arguments(node: ast.Call, context: Context) -> list[str]:
    return context.operands(node.args) + _keywords(node, context)


def _call(node: ast.Call, context: Context, arguments: list[str]) -> str:
    return f"{context.operand(node.func)}({', '.join(arguments)})"


@kind("other function", cost=1.5)
def replace_function(node: ast.Call, context: Context) -> Replacements:
    """Replace `min(xs)` with `max(xs)` or another similar function."""
    if isinstance(node.func, ast.Name | ast.Attribute):
        arguments = ", ".join(_arguments(node, context))
        for name in FUNCTIONS.get(ast.unparse(node.func), ()):
            yield f"{name}({arguments})"


@kind("other method", cost=1.5)
def replace_method(node: ast.Call, context: Context) -> Replacements:
    """Replace `xs.append(x)` with `xs.extend(x)` or another similar method."""
    if isinstance(node.func, ast.Attribute):
        owner = context.operand(node.func.value)
        arguments = ", ".join(_arguments(node, context))
        for name in METHODS.get(node.func.attr, ()):
            if name != "insert":
                yield f"{owner}.{name}({arguments})"
            elif arguments:
                yield f"{owner}.insert(0, {arguments})"
            else:
                yield f"{owner}.insert(0)"


@kind("arguments swapped", cost=1.6)
def swap_arguments(node: ast.Call, context: Context) -> Replacements:
    """Replace `f(a, b)` with `f(b, a)`, and `a.f(b)` with `b.f(a)`."""
    positional = context.operands(node.args)
    for swapped in swap_neighbours(positional):
        yield _call(node, context, swapped + _keywords(node, context))
    if len(positional) == 1 and isinstance(node.func, ast.Attribute) and not node.keywords:
        yield fill("{args[0]}.{func.attr}({func.value})", node, context)


@kind("argument dropped", cost=1.9)
def drop_argument(node: ast.Call, context: Context) -> Replacements:
    """Replace `f(a, b)` with `f(a)` or `f(b)`."""
    for arguments in drop_each(_arguments(node, context)):
        yield _call(node, context, arguments)


@kind("keyword added", cost=2.6)
def pass_parameter(node: ast.Call, context: Context) -> Replacements:
    """Replace `f(x)` with `f(x, name=name)`, for each parameter of the function around it."""
    function = context.function(node)
    if function is None or any(keyword.arg is None for keyword in node.keywords):
        return
    arguments = _arguments(node, context)
    passed = {argument.partition("=")[0] for argument in arguments} | {"self", "cls"}
    for parameter in (*function.args.args, *function.args.kwonlyargs):
        name = parameter.arg
        if name not in passed:
            yield _call(node, context, [*arguments, f"{name}={name}"])


@kind("call unwrapped", cost=1.4)
def unwrap_call(node: ast.Call, context: Context) -> Replacements:
    """Replace `f(a)` with `a`, and `a.f()` with `a`."""
    cost = 1.4
    if not called_name(node):
        # An argument seldom stands for the result of a method.
        cost = 2.0
    for value in node.args[:2]:
        if not isinstance(value, ast.Starred | ast.GeneratorExp):
            yield Replacement(context.operand(value), cost)
    if isinstance(node.func, ast.Attribute):
        yield Replacement(context.operand(node.func.value), 1.6)


@kind("call wrapped", cost=2.3)
def wrap_in_call(node: Value, context: Context) -> Replacements:
    """Replace `a` with `abs(a)` or another call of a builtin."""
    if not context.is_value(node):
        return
    called, text = called_name(node), context.operand(node)
    for rank, name in enumerate(WRAPPERS):
        if name != called:
            yield Replacement(f"{name}({text})", 2.3 + 0.04 * rank)


@kind("method wrapped", cost=2.6)
def call_method(node: Value, context: Context) -> Replacements:
    """Replace `a` with `a.lower()` or another call of a method."""
    if not context.is_value(node):
        return
    methods = ["lower", "upper", "strip", "split"]
    is_observed = isinstance(node, ast.Name) and node.id in context.types(node)
    if not is_observed:
        methods += ["copy", "keys", "values", "items"]
    elif isinstance(node, ast.Name) and not context.may_be(node, node.id, ["str"]):
        return
    text = context.enclosed(node, ast.BinOp, ast.IfExp)
    for method in methods:
        yield f"{text}.{method}()"


@kind("key given", cost=2.8)
def add_option(node: ast.Call, context: Context) -> Replacements:
    """Replace `sorted(xs)` with `sorted(xs, key=len)` or another option."""
    name = called_name(node)
    has_one_argument = len(node.args) == 1 and not node.keywords
    if name not in ("sorted", "max", "min") or not has_one_argument:
        return
    options = ["default=0", "default=None"]
    if name == "sorted":
        options = ["key=len", "key=abs", "key=str", "reverse=True"]
    argument = context.operand(node.args[0])
    for option in options:
        yield f"{name}({argument}, {option})"


@kind("default given", cost=2.4)
def add_default(node: ast.Call, context: Context) -> Replacements:
    """Replace `d.get(key)` with `d.get(key, 0)` or another default."""
    is_lookup = isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop")
    if is_lookup and len(node.args) == 1:
        method, key = context.text(node.func), context.operand(node.args[0])
        for default in ("0", "None", '""', "[]"):
            yield f"{method}({key}, {default})"


@kind("await dropped", cost=1.8)
def drop_await(node: ast.Await, context: Context) -> Replacements:
    """Replace `await a` with `a`."""
    yield context.operand(node.value)


@kind("await added", cost=2.2)
def add_await(node: ast.Call, context: Context) -> Replacements:
    """Replace `f()` with `await f()`."""
    is_async = isinstance(context.function(node), ast.AsyncFunctionDef)
    if is_async and not isinstance(context.parent(node), ast.Await):
        yield f"await {context.text(node)}"


@kind("recursion argument", cost=3.4)
def replace_recursion_argument(node: ast.Call, context: Context) -> Replacements:
    """In a recursive call, pass each parameter unchanged, smaller, larger or shortened."""
    function = context.function(node)
    if function is None or called_name(node) != function.name:
        return
    arguments = _arguments(node, context)
    names = [parameter.arg for parameter in function.args.args]
    for index, name in enumerate(names[: len(node.args)]):
        stepped = [f"{name}{step}" for step in STEPS]
        for value in dict.fromkeys([name, *stepped, *names]):
            if value != arguments[index]:
                yield _call(node, context, replace_item(arguments, index, value))
