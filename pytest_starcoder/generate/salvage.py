"""Turns the answer of a model into drafts: each assertion becomes a test of its own.

The answer may end in the middle of a test: its longest beginning that parses counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TypeGuard

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.imports import imported_names, required_imports
from pytest_starcoder.generate.statements import Function, expects_exception, is_string, mentions
from pytest_starcoder.generate.unittest_assertions import to_pytest
from pytest_starcoder.model.code_blocks import parsing_prefix
from pytest_starcoder.source.syntax import syntax_tree


def salvage_drafts(
    text: str,
    target: Target,
    names: Sequence[str],
    model: str,
    label: str = "written",
    before: str = "",
) -> Iterator[Draft]:
    """Yield the tests in a text, each body once; a parametrized test stays whole.

    `names` are defined by the target's module, `before` is the code before the text, whose
    imports the text may use; `label` becomes part of the names of the tests.
    """
    tree = syntax_tree(parsing_prefix(text))
    head = syntax_tree(before)
    if tree is None:
        return
    imports = imported_names([*tree.body, *(head.body if head else ())], target.module)
    helpers = _helpers(tree, names)
    seen: set[tuple[str, ...]] = set()
    for function in ast.walk(tree):
        if not is_test(function):
            continue
        marks = _marks(function)
        arguments = _arguments(function)
        if marks is None or arguments is None:
            continue
        is_parametrized = any("parametrize" in mark for mark in marks)
        tests = [_up_to_last_assertion(function)] if is_parametrized else _split(function)
        for test in filter(None, tests):
            statements = [*_used_helpers(test, helpers), *test]
            body = tuple(map(ast.unparse, statements))
            if body in seen:
                continue
            seen.add(body)
            used = arguments
            if not is_parametrized:
                used = [name for name in arguments if _any_mentions(statements, name)]
            yield Draft(
                f"test_{target.test_stem}_{label}_{len(seen)}",
                body,
                required_imports((*body, *marks), target, names, imports),
                Origin.MODEL,
                target,
                model,
                tuple(used),
                tuple(f"@{mark}" for mark in marks),
                isinstance(function, ast.AsyncFunctionDef),
            )


def is_test(node: ast.AST) -> TypeGuard[Function]:
    """Return whether a node is a test function."""
    return isinstance(node, Function) and node.name.startswith("test")


def async_mark() -> str:
    """Return the mark that makes a coroutine a test."""
    plugin = "anyio" if find_spec("pytest_asyncio") is None else "asyncio"
    return f"pytest.mark.{plugin}"


def _marks(function: Function) -> list[str] | None:
    """Return the marks of a test; None if it has other decorators."""
    marks = list(map(ast.unparse, function.decorator_list))
    if not all(mark.startswith("pytest.mark.") for mark in marks):
        return None
    is_async = isinstance(function, ast.AsyncFunctionDef)
    if is_async and not any("asyncio" in mark or "anyio" in mark for mark in marks):
        marks.insert(0, async_mark())
    return marks


def _arguments(function: Function) -> list[str] | None:
    """Return the fixtures of a test; None if it has other kinds of parameters."""
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        return None
    if arguments.posonlyargs or arguments.defaults:
        return None
    return [argument.arg for argument in arguments.args if argument.arg != "self"]


def _helpers(tree: ast.Module, names: Sequence[str]) -> dict[str, ast.stmt]:
    """Return the functions and values beside the tests, without copies from the target's module."""
    helpers: dict[str, ast.stmt] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=[]) if not is_test(node):
                helpers[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]):
                helpers[name] = node
    return {name: node for name, node in helpers.items() if name not in names}


def _used_helpers(
    statements: Sequence[ast.stmt], helpers: Mapping[str, ast.stmt]
) -> list[ast.stmt]:
    """Return the helpers that statements use, and those that these use."""
    used: set[str] = set()
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        for name, helper in helpers.items():
            if name not in used and helper is not node and mentions(node, name):
                used.add(name)
                waiting.append(helper)
    return [helper for name, helper in helpers.items() if name in used]


def _statements(function: Function) -> list[ast.stmt]:
    """Return the statements of a test in pytest's style, without docstrings."""
    return [to_pytest(node) for node in function.body if not is_string(node)]


def _up_to_last_assertion(function: Function) -> list[ast.stmt]:
    statements = _statements(function)
    while statements and not _asserts(statements[-1]):
        statements.pop()
    return statements


def _split(function: Function) -> Iterator[list[ast.stmt]]:
    """Yield each assertion of a test with the statements before it that are no assertions."""
    setup: list[ast.stmt] = []
    for statement in _statements(function):
        if _asserts(statement):
            yield _without_unused([*setup, statement])
        else:
            setup.append(statement)


def _without_unused(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Remove assignments to names that no later statement uses."""
    used: list[ast.stmt] = []
    for statement in reversed(statements):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) if not _any_mentions(used, name):
                continue
        used.insert(0, statement)
    return used


def _any_mentions(statements: Sequence[ast.stmt], name: str) -> bool:
    return any(mentions(statement, name) for statement in statements)


def _asserts(statement: ast.stmt) -> bool:
    """Return whether a statement asserts something, expects an exception or checks a mock."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Assert) or expects_exception(node):
            return True
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func).rpartition(".")[2]
            if function.startswith("assert_"):
                return True
    return False
