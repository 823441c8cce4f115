"""Turns the answer of a model into drafts: each assertion becomes a test of its own.

The answer may end in the middle of a test: its longest beginning that parses counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeGuard

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.imports import imported_names, required_imports
from pytest_starcoder.generate.statements import expects_exception, is_string, mentions
from pytest_starcoder.generate.unittest_assertions import to_pytest
from pytest_starcoder.model.code_blocks import parsing_prefix
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.syntax import syntax_tree


def extract_drafts(
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
    if tree is None:
        return
    importing = list(tree.body)
    head = syntax_tree(before)
    if head:
        importing += head.body
    imports = imported_names(importing, target.module)
    helpers = _helpers(tree, names)
    seen: set[tuple[str, ...]] = set()
    # All nodes, because models also write tests as methods.
    tests = map(_model_test, ast.walk(tree))
    for test in filter(None, tests):
        for statements in test.parts:
            needed = [*_used_helpers(statements, helpers), *statements]
            body = tuple(map(ast.unparse, needed))
            if body in seen:
                continue
            seen.add(body)
            code = (*body, *test.marks)
            yield Draft(
                f"test_{target.test_stem}_{label}_{len(seen)}",
                body,
                required_imports(code, target, names, imports),
                Origin.MODEL,
                target,
                model,
                test.used_arguments(needed),
                test.decorators,
                isinstance(test.function, ast.AsyncFunctionDef),
            )


@dataclass(frozen=True)
class _ModelTest:
    """A test that a model wrote; `arguments` are its fixtures and parameters."""

    function: Function
    marks: list[str]
    arguments: list[str]

    @property
    def is_parametrized(self) -> bool:
        return any("parametrize" in mark for mark in self.marks)

    @property
    def decorators(self) -> tuple[str, ...]:
        return tuple(f"@{mark}" for mark in self.marks)

    @property
    def parts(self) -> Iterator[list[ast.stmt]]:
        """The statements of each test that it becomes."""
        statements = []
        for node in self.function.body:
            if not is_string(node):
                statements.append(to_pytest(node))
        # Split up, each assertion would need the parameters again.
        if self.is_parametrized:
            while statements and not _asserts(statements[-1]):
                statements.pop()
            if statements:
                yield statements
            return
        setup: list[ast.stmt] = []
        for statement in statements:
            if _asserts(statement):
                yield _without_unused([*setup, statement])
            else:
                setup.append(statement)

    def used_arguments(self, statements: Sequence[ast.stmt]) -> tuple[str, ...]:
        if self.is_parametrized:
            return tuple(self.arguments)
        # An unused fixture would still be set up.
        return tuple(name for name in self.arguments if _any_mentions(statements, name))


def _model_test(node: ast.AST) -> _ModelTest | None:
    """Return a test function as a test; None for other nodes, and for unknown decorators."""
    if not is_test(node):
        return None
    marks = list(map(ast.unparse, node.decorator_list))
    names = [argument.arg for argument in node.args.args]
    if not _has_only_fixtures(node.args):
        return None
    # Only marks are known to work in another module.
    if not all(mark.startswith("pytest.mark.") for mark in marks):
        return None
    if isinstance(node, ast.AsyncFunctionDef):
        all_marks = " ".join(marks)
        if "asyncio" not in all_marks and "anyio" not in all_marks:
            marks.insert(0, async_mark())
    if "self" in names:
        names.remove("self")
    return _ModelTest(node, marks, names)


def _has_only_fixtures(parameters: ast.arguments) -> bool:
    """Return whether all parameters are plain ones without defaults, as fixtures are."""
    further = (*parameters.posonlyargs, *parameters.kwonlyargs, *parameters.defaults)
    return not further and not parameters.vararg and not parameters.kwarg


def is_test(node: ast.AST) -> TypeGuard[Function]:
    """Return whether a node is a test function."""
    return isinstance(node, Function) and node.name.startswith("test")


def async_mark() -> str:
    """Return the mark that makes a coroutine a test."""
    plugin = "anyio" if find_spec("pytest_asyncio") is None else "asyncio"
    return f"pytest.mark.{plugin}"


def _helpers(tree: ast.Module, names: Sequence[str]) -> dict[str, ast.stmt]:
    """Return the functions and values beside the tests, without copies from the target's module."""
    helpers: dict[str, ast.stmt] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=[]) if not is_test(node):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case _:
                continue
        if name not in names:
            helpers[name] = node
    return helpers


def _used_helpers(
    statements: Sequence[ast.stmt], helpers: Mapping[str, ast.stmt]
) -> list[ast.stmt]:
    """Return the helpers that statements use, and those that these use."""
    used: set[str] = set()
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        for name, definition in helpers.items():
            if name not in used and definition is not node and mentions(node, name):
                used.add(name)
                waiting.append(definition)
    return [definition for name, definition in helpers.items() if name in used]


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
