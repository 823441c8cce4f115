"""Tells the checking code of a file from the rest: assertions and functions made of them.

Nothing is run. A file that mentions no checks is not parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_starcoder.source.functions import Function, definition_lines, lines_of
from pytest_starcoder.source.syntax import syntax_tree

PYTEST_DECORATORS = frozenset({"given", "when", "then", "fixture", "yield_fixture"})
"""Decorators of fixtures and of scenario steps."""

CHECKING_BASES = ("TestCase", "BaseMatcher")
"""Name endings of base classes whose methods check."""

FAILING_CALL = re.compile(r"_*assert|fail$|expect$|raises$|warns$")
"""Names of functions that make a test fail."""

CHECK_WORD = re.compile(
    r"assert|Assert|fail\b|expect\b|raises\b|warns\b|fixture|TestCase|Matcher"
    r"|@\s*\w*\.?(given|when|then)\b"
)
"""Text found in every file that contains checks."""

With = ast.With | ast.AsyncWith
Compound = ast.If | ast.While | ast.For | ast.AsyncFor | With | ast.Try | ast.TryStar | ast.Match
Exit = ast.Return | ast.Raise | ast.Break | ast.Continue
Scope = Function | ast.ClassDef


@dataclass(frozen=True)
class Checks:
    """The checking code of one file.

    `lines` are assertions, the conditions that decide whether they are reached, and all of
    fixtures, steps and functions that only check. `guarded` are the lines of functions with an
    `assert`. The checks `prevail` if most functions only check.
    """

    lines: frozenset[int] = frozenset()
    guarded: frozenset[int] = frozenset()
    prevail: bool = False


@dataclass(frozen=True)
class FunctionInFile:
    """One function of a file, with the names of the classes and functions around it.

    `is_case` is true if one of the classes is a TestCase.
    """

    node: Function
    classes: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    is_case: bool = False

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def lines(self) -> range:
        return definition_lines(self.node)

    @property
    def is_called_by_pytest(self) -> bool:
        """It is a fixture or a step."""
        names = [last_name(decorator) for decorator in self.node.decorator_list]
        return not PYTEST_DECORATORS.isdisjoint(names)

    @property
    def has_assert(self) -> bool:
        return any(isinstance(node, ast.Assert) for node in ast.walk(self.node))


def checks_in(source: str) -> Checks:
    """Return the checks of a file."""
    if not CHECK_WORD.search(source):
        return Checks()  # most files: parsing them would take much longer
    tree = syntax_tree(source)
    if tree is None:
        return Checks()
    functions = functions_in(source)
    helpers = _check_helpers(functions)
    lines = set(_assertion_lines(tree))
    guarded: set[int] = set()
    outer_count = 0
    helper_count = 0
    for function in functions:
        is_helper = function.name in helpers
        if function.is_case or function.is_called_by_pytest or is_helper:
            lines.update(function.lines)
        if function.has_assert:
            guarded.update(function.lines)
        if not function.functions:  # nested functions do not say what the file is for
            outer_count += 1
            helper_count += is_helper
    prevail = 0 < outer_count <= 2 * helper_count
    return Checks(frozenset(lines), frozenset(guarded), prevail)


def related_lines(source: str) -> dict[int, frozenset[int]]:
    """Map each line to those of its innermost statement and of the block heads around it."""
    tree = syntax_tree(source)
    if tree is None:
        return {}
    related: dict[int, frozenset[int]] = {}
    for statement, heads in _enclosing_heads(tree).items():
        if isinstance(statement, Scope):
            continue
        lines = lines_of(statement)
        if isinstance(statement, Compound):
            lines = next(_heads(statement))
        with_heads = frozenset(lines).union(*heads)
        related.update(dict.fromkeys(lines, with_heads))
    return related


def function_ranges(source: str) -> dict[int, range]:
    """Map each line in a function to the lines of the innermost function."""
    ranges: dict[int, range] = {}
    for function in functions_in(source):
        ranges.update(dict.fromkeys(function.lines, function.lines))
    return ranges


# --- functions -----------------------------------------------------------------------------


def functions_in(source: str) -> list[FunctionInFile]:
    """Return every function of a file, outer before inner."""
    tree = syntax_tree(source)
    return list(_functions(tree)) if tree else []


def _functions(
    node: ast.AST,
    classes: tuple[str, ...] = (),
    functions: tuple[str, ...] = (),
    *,
    is_case: bool = False,
) -> Iterator[FunctionInFile]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield FunctionInFile(child, classes, functions, is_case)
            yield from _functions(child, classes, (*functions, child.name), is_case=is_case)
        elif isinstance(child, ast.ClassDef):
            is_checking = is_case
            for base in child.bases:
                is_checking = is_checking or last_name(base).endswith(CHECKING_BASES)
            yield from _functions(child, (*classes, child.name), functions, is_case=is_checking)
        elif not isinstance(child, ast.expr):
            yield from _functions(child, classes, functions, is_case=is_case)


def _check_helpers(functions: Sequence[FunctionInFile]) -> frozenset[str]:
    """Return the names of functions that only check: they fail, or call each other.

    They return and change nothing. Functions called only by these count too: their results
    decide the check.
    """
    helpers: set[str] = set()
    names: set[str] = set()
    silent = []
    # By node, because names may be repeated.
    calls: dict[Function, set[str]] = {}
    for function in functions:
        calls[function.node] = _called_names(function.node)
        if function.name.startswith("test"):
            continue
        names.add(function.name)
        if function.name.lstrip("_").startswith("assert"):
            helpers.add(function.name)
        if not _has_effect(function.node):
            silent.append(function)
            if _fails(function.node):
                helpers.add(function.name)
    _add_callers(helpers, silent, calls)
    return frozenset(helpers | (names & _only_called_by(helpers, calls)))


def _add_callers(
    helpers: set[str], functions: Sequence[FunctionInFile], calls: Mapping[Function, set[str]]
) -> None:
    """Add those of `functions` that call a helper, and those that call these, and so on."""
    size = -1
    while size != len(helpers):
        size = len(helpers)
        for function in functions:
            if not helpers.isdisjoint(calls[function.node]):
                helpers.add(function.name)


def _only_called_by(helpers: set[str], calls: Mapping[Function, set[str]]) -> set[str]:
    """Return the names that helpers call and other functions do not."""
    called_by_code: set[str] = set()
    called_by_helpers: set[str] = set()
    for function, names in calls.items():
        if function.name not in helpers:
            called_by_code |= names
        elif not function.name.startswith("test"):
            called_by_helpers |= names
    return called_by_helpers - called_by_code


def _has_effect(function: Function) -> bool:
    """Return whether a function returns information or changes what outlives it."""
    for node in _own_nodes(function):
        if isinstance(node, ast.Return):
            if node.value is not None and not _is_neutral(node.value) and not _is_check(node):
                return True
        elif isinstance(node, ast.Attribute | ast.Subscript):
            if not isinstance(node.ctx, ast.Load):
                return True
        elif isinstance(node, ast.Yield | ast.YieldFrom | ast.Global | ast.Nonlocal):
            return True
    return False


def _is_neutral(value: ast.expr) -> bool:
    """Return whether a returned value carries no information."""
    if isinstance(value, ast.Constant):
        return value.value is None or value.value is True
    return isinstance(value, ast.Name) and value.id == "self"


def _fails(function: Function) -> bool:
    """Return whether a function itself makes a test fail."""
    nodes = _own_nodes(function)
    return any(isinstance(node, ast.stmt) and _is_check(node) for node in nodes)


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of nested functions."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Scope | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _called_names(function: Function) -> set[str]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {last_name(call.func) for call in calls}


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name; for a call, that of the called function."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


# --- assertions ----------------------------------------------------------------------------


def _is_check(statement: ast.stmt) -> bool:
    """Return whether a statement is an assertion, in any testing style."""
    calls: list[ast.expr] = []
    match statement:
        case ast.Assert():
            return True
        case ast.Raise(exc=ast.expr() as exc):
            return last_name(exc) in ("AssertionError", "Failed")
        case ast.Expr(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
            calls += [node for node in ast.walk(value) if isinstance(node, ast.Call)]
        case ast.With(items=items) | ast.AsyncWith(items=items):
            calls += [item.context_expr for item in items]
    return any(FAILING_CALL.match(last_name(call)) for call in calls)


def _assertion_lines(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of assertions, and of conditions that decide if an `assert` is reached."""
    for statement, heads in _enclosing_heads(tree).items():
        if _is_check(statement):
            if isinstance(statement, With):
                yield from next(_heads(statement))
            else:
                yield from lines_of(statement)
        if isinstance(statement, ast.Assert):
            for head in heads:
                yield from head
        if isinstance(statement, Function):
            yield from _early_exit_lines(statement)


def _early_exit_lines(function: Function) -> Iterator[int]:
    """Yield the heads of blocks that leave a function before its last `assert`."""
    nodes = list(_own_nodes(function))
    asserts = [node.lineno for node in nodes if isinstance(node, ast.Assert)]
    last = max(asserts, default=0)
    for block in nodes:
        if not isinstance(block, Compound) or block.lineno > last:
            continue
        if any(isinstance(inner, Exit) for inner in ast.walk(block)):
            for head in _heads(block):
                yield from head


def _enclosing_heads(tree: ast.Module) -> dict[ast.stmt, list[range]]:
    """Map each statement to the heads of its enclosing blocks in the function."""
    heads: dict[ast.stmt, list[range]] = {}
    waiting: list[tuple[ast.AST, list[range]]] = [(tree, [])]
    while waiting:
        node, outer = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                heads[child] = outer
            if isinstance(child, Scope):
                waiting.append((child, []))
            elif isinstance(child, Compound):
                waiting.append((child, [*outer, *_heads(child)]))
            elif not isinstance(child, ast.expr):
                waiting.append((child, outer))
    return heads


def _heads(statement: ast.stmt) -> Iterator[range]:
    """Yield the lines of a compound statement's head, and of its `except` and `case` clauses."""
    # The cases of a `match` are neither statements nor handlers.
    if isinstance(statement, ast.Match):
        yield range(statement.lineno, statement.cases[0].pattern.lineno)
        for case in statement.cases:
            yield _head(case.pattern.lineno, case.body)
        return
    yield _head(statement.lineno, getattr(statement, "body", ()))
    for handler in getattr(statement, "handlers", ()):
        yield _head(handler.lineno, handler.body)


def _head(first: int, body: Sequence[ast.stmt]) -> range:
    return range(first, max(body[0].lineno, first + 1))
