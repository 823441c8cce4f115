"""Tells the checking code of a file from the rest: assertions and functions made of them.

Takes source, returns line numbers; nothing is run. A file that mentions no checks is not parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain

from pytest_starcoder.source.syntax import syntax_tree

LIBRARIES = (
    "pytest _pytest unittest nose nose2 hypothesis pytest_bdd behave lettuce radish hamcrest assertpy sure expects"
    " testfixtures factory model_bakery polyfactory syrupy inline_snapshot dirty_equals testtools robot"
).split()
"""Libraries that code under test does not import at its top."""

CALLED_BY_PYTEST = frozenset({"given", "when", "then", "fixture", "yield_fixture"})
"""Decorators of fixtures and of scenario steps."""

CASES = ("TestCase", "BaseMatcher")
"""Name endings of classes whose methods check."""

SETUP = re.compile(r"(async)?(setup|teardown)(_?(class|module|method|function))?$", re.IGNORECASE)

FAILING = re.compile(r"_*assert|fail$|expect$|raises$|warns$")
"""Names of functions that make a test fail."""

MENTIONS = re.compile(
    r"assert|Assert|fail\b|expect\b|raises\b|warns\b|fixture|TestCase|Matcher|@\s*\w*\.?(given|when|then)\b"
)
"""Text found in every file that contains checks."""

_TESTING = re.compile(
    rf"^(?:from[ \t]+(?:{'|'.join(LIBRARIES)})\b|import[ \t][^#\n]*?(?<![\w.])(?:{'|'.join(LIBRARIES)})\b"
    r"|(?:from|import)[ \t]+\w[\w.]*\.testing\b)",
    re.MULTILINE,
)

_IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+\(?([\w., \t]*)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH = (ast.With, ast.AsyncWith)
_COMPOUND = (ast.If, ast.While, ast.For, ast.AsyncFor, *_WITH, ast.Try, ast.TryStar, ast.Match)
_EXITS = (ast.Return, ast.Raise, ast.Break, ast.Continue)


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


def checks_in(source: str) -> Checks:
    """Return the checks of a file."""
    tree = syntax_tree(source) if MENTIONS.search(source) else None
    if tree is None:
        return Checks()
    functions = list(_functions(tree))
    helpers = _helpers(functions)
    lines = set(_assertions(tree))
    guarded: set[int] = set()
    for function in functions:
        if function.is_case or function.is_called_by_pytest or function.name in helpers:
            lines.update(function.lines)
        if function.has_assert:
            guarded.update(function.lines)
    outer = [function for function in functions if not function.within]
    only_checking = sum(function.name in helpers for function in outer)
    prevail = 0 < len(outer) <= 2 * only_checking
    return Checks(frozenset(lines), frozenset(guarded), prevail)


def imports_testing(source: str) -> bool:
    """Return whether a module imports a testing library at its top."""
    return _TESTING.search(source) is not None


def imported(source: str) -> frozenset[str]:
    """Return the last parts of all names that a file imports, of modules and their members."""
    names: set[str] = set()
    for module, members, modules in _IMPORTS.findall(source):
        for dotted in (module, *re.split(r"[,\s]+", f"{members},{modules}")):
            names.add(dotted.rpartition(".")[2])
    return frozenset(names - {""})


def registered(source: str) -> frozenset[str]:
    """Return the modules a file registers for assertion rewriting or names as plugins."""
    names: set[str] = set()
    mentioned = "register_assert_rewrite" in source or "pytest_plugins" in source
    tree = syntax_tree(source) if mentioned else None
    for node in ast.walk(tree) if tree else ():
        expressions: list[ast.expr] = []
        if isinstance(node, ast.Call) and _last_name(node.func) == "register_assert_rewrite":
            expressions = node.args
        elif isinstance(node, ast.Assign) and "pytest_plugins" in map(_last_name, node.targets):
            expressions = [node.value]
        for expression in expressions:
            texts = (
                inner.value for inner in ast.walk(expression) if isinstance(inner, ast.Constant)
            )
            names.update(text for text in texts if isinstance(text, str))
    return frozenset(names)


def around(source: str) -> dict[int, frozenset[int]]:
    """Map each line to the other lines of its innermost statement and its enclosing block heads."""
    tree = syntax_tree(source)
    related: dict[int, frozenset[int]] = {}
    for statement, heads in (_heads(tree) if tree else {}).items():
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        statement_lines = _lines(statement)
        if isinstance(statement, _COMPOUND):
            statement_lines = next(_heads_of(statement))
        lines = frozenset(chain(statement_lines, *heads))
        related.update(dict.fromkeys(statement_lines, lines))
    return related


def functions_by_line(source: str) -> dict[int, range]:
    """Map each line in a function to the lines of the innermost function."""
    tree = syntax_tree(source)
    lines: dict[int, range] = {}
    for function in _functions(tree) if tree else ():
        lines.update(dict.fromkeys(function.lines, function.lines))
    return lines


@dataclass(frozen=True)
class HoldsTests:
    """Tells whether a file contains tests, by python_functions and python_classes."""

    functions: tuple[str, ...]
    classes: tuple[str, ...]

    def __call__(self, source: str) -> bool:
        tree = syntax_tree(source)
        return any(self.is_test(function) for function in _functions(tree)) if tree else False

    def is_test(self, found: _Found) -> bool:
        """Return whether a function is a test or belongs to a test class."""
        if found.is_case or any(_matches(name, self.classes) for name in found.classes):
            return True
        return any(
            _matches(name, ("test", *self.functions)) for name in (found.name, *found.within)
        )


@dataclass(frozen=True)
class Beside(HoldsTests):
    """Finds the lines of functions in a test file that are neither tests nor support code."""

    def __call__(self, source: str) -> frozenset[int]:  # type: ignore[override]
        tree = syntax_tree(source)
        functions = list(_functions(tree)) if tree else []
        tests = [
            function
            for function in functions
            if self.is_test(function) or SETUP.match(function.name)
        ]
        lines = set[int]().union(*(function.lines for function in functions))
        return frozenset(lines.difference(*(function.lines for function in tests)))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name starts with a pattern or matches one with wildcards, as in pytest."""
    return any(
        fnmatchcase(name, pattern)
        if set(pattern) & set("*?[")
        else bool(pattern) and name.startswith(pattern)
        for pattern in patterns
    )


# --- functions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """One function of a file, with the names of its enclosing classes and functions.

    `is_case` is true if one of the classes is a TestCase.
    """

    node: Function
    classes: tuple[str, ...]
    within: tuple[str, ...]
    is_case: bool

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def lines(self) -> range:
        """Its lines, including those of its decorators."""
        first = min(
            [self.node.lineno, *(decorator.lineno for decorator in self.node.decorator_list)]
        )
        return range(first, (self.node.end_lineno or self.node.lineno) + 1)

    @property
    def is_called_by_pytest(self) -> bool:
        """Whether it is a fixture or a step."""
        return not CALLED_BY_PYTEST.isdisjoint(map(_last_name, self.node.decorator_list))

    @property
    def has_assert(self) -> bool:
        return any(isinstance(node, ast.Assert) for node in ast.walk(self.node))


def _functions(
    node: ast.AST,
    classes: tuple[str, ...] = (),
    within: tuple[str, ...] = (),
    *,
    is_case: bool = False,
) -> Iterator[_Found]:
    """Return every function of a file, outer before inner."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            yield _Found(child, classes, within, is_case)
            yield from _functions(child, classes, (*within, child.name), is_case=is_case)
        elif isinstance(child, ast.ClassDef):
            case = is_case or any(_last_name(base).endswith(CASES) for base in child.bases)
            yield from _functions(child, (*classes, child.name), within, is_case=case)
        elif not isinstance(child, ast.expr):
            yield from _functions(child, classes, within, is_case=is_case)


def _helpers(functions: Sequence[_Found]) -> frozenset[str]:
    """Return the names of functions that only check: they fail, or call each other.

    They return and change nothing. Functions called only by these count too: their results
    decide the check.
    """
    candidates = [function for function in functions if not function.name.startswith("test")]
    helpers = {
        function.name for function in candidates if function.name.lstrip("_").startswith("assert")
    }
    quiet = [function for function in candidates if _gives_nothing(function.node)]
    calls = {function.node: _called(function.node) for function in functions}
    helpers |= {function.name for function in quiet if _fails(function.node)}
    while (
        more := {
            function.name for function in quiet if not helpers.isdisjoint(calls[function.node])
        }
        - helpers
    ):
        helpers |= more
    called_by_code: set[str] = set()
    called_by_helpers: set[str] = set()
    for function in functions:
        if function.name not in helpers:
            called_by_code.update(calls[function.node])
        elif not function.name.startswith("test"):
            called_by_helpers.update(calls[function.node])
    names = {function.name for function in candidates}
    return frozenset(helpers | (names & (called_by_helpers - called_by_code)))


def _gives_nothing(node: Function) -> bool:
    """Return whether a function returns no information and changes nothing that outlives it."""
    return not any(map(_gives, _own_nodes(node)))


def _gives(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        return node.value is not None and not _tells_nothing(node.value) and not _is_check(node)
    if isinstance(node, ast.Attribute | ast.Subscript):
        return not isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.Yield | ast.YieldFrom | ast.Global | ast.Nonlocal)


def _tells_nothing(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return value.value is None or value.value is True
    return isinstance(value, ast.Name) and value.id == "self"


def _fails(node: Function) -> bool:
    """Return whether a function itself makes a test fail."""
    return any(isinstance(inner, ast.stmt) and _is_check(inner) for inner in _own_nodes(node))


def _own_nodes(node: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of nested functions."""
    waiting: list[ast.AST] = [*node.body]
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(inner))


def _called(node: Function) -> frozenset[str]:
    return frozenset(
        _last_name(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)
    )


def _last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name; for a call, that of the called function."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


# --- assertions ----------------------------------------------------------------------------


def _is_check(statement: ast.stmt) -> bool:
    """Return whether a statement is an assertion, in any testing style."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.Raise):
        return statement.exc is not None and _last_name(statement.exc) in (
            "AssertionError",
            "Failed",
        )
    if isinstance(statement, ast.Expr | ast.Return) and statement.value is not None:
        calls = [node for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
        return any(FAILING.match(_last_name(call.func)) for call in calls)
    if isinstance(statement, _WITH):
        return any(FAILING.match(_last_name(item.context_expr)) for item in statement.items)
    return False


def _assertions(tree: ast.Module) -> Iterator[int]:
    """Return the lines of assertions, and of conditions that decide if an `assert` is reached."""
    heads = _heads(tree)
    for statement, blocks in heads.items():
        if _is_check(statement):
            yield from (
                next(_heads_of(statement)) if isinstance(statement, _WITH) else _lines(statement)
            )
        if isinstance(statement, ast.Assert):
            for head in blocks:
                yield from head
        if isinstance(statement, _FUNCTIONS):
            yield from _leaving(statement)


def _leaving(function: Function) -> Iterator[int]:
    """Return the heads of blocks that leave a function before its last `assert`."""
    nodes = list(_own_nodes(function))
    last = max((node.lineno for node in nodes if isinstance(node, ast.Assert)), default=0)
    for block in nodes:
        if not isinstance(block, _COMPOUND) or block.lineno > last:
            continue
        if any(isinstance(inner, _EXITS) for inner in ast.walk(block)):
            for head in _heads_of(block):
                yield from head


def _heads(tree: ast.Module) -> dict[ast.stmt, list[range]]:
    """Map each statement to the heads of its enclosing blocks in the function."""
    found: dict[ast.stmt, list[range]] = {}
    waiting: list[tuple[ast.AST, list[range]]] = [(tree, [])]
    while waiting:
        node, blocks = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                found[child] = blocks
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                waiting.append((child, []))
            elif isinstance(child, _COMPOUND):
                waiting.append((child, [*blocks, *_heads_of(child)]))
            elif not isinstance(child, ast.expr):
                waiting.append((child, blocks))
    return found


def _heads_of(node: ast.stmt) -> Iterator[range]:
    """Return the header lines of a compound statement, with its `except` and `case` clauses."""
    if isinstance(node, ast.Match):
        yield range(node.lineno, node.cases[0].pattern.lineno)
        for case in node.cases:
            yield _head(case.pattern.lineno, case.body)
        return
    yield _head(node.lineno, getattr(node, "body", ()))
    for handler in getattr(node, "handlers", ()):
        yield _head(handler.lineno, handler.body)


def _head(first: int, body: Sequence[ast.stmt]) -> range:
    return range(first, max(body[0].lineno, first + 1))


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
