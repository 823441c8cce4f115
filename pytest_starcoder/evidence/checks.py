"""What checks in a file and what works: assertions, and the functions that are made of them.

Source in, numbers of lines out; nothing is run. A file that mentions nothing of the kind is not parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_starcoder.text.syntax import syntax_tree

LIBRARIES = (
    "pytest _pytest unittest nose nose2 hypothesis pytest_bdd behave lettuce radish hamcrest assertpy sure expects"
    " testfixtures factory model_bakery polyfactory syrupy inline_snapshot dirty_equals testtools robot"
).split()
"""What code under test does not import at its top."""

CALLED_BY_PYTEST = frozenset({"given", "when", "then", "fixture", "yield_fixture"})
"""Decorators of fixtures and of the steps of a scenario."""

CASES = ("TestCase", "BaseMatcher")
"""How the names of the classes end whose methods check."""

SETUP = re.compile(r"(async)?(setup|teardown)(_?(class|module|method|function))?$", re.IGNORECASE)

FAILING = re.compile(r"_*assert|fail$|expect$|raises$|warns$")
"""Names of functions that make a test fail."""

MENTIONS = re.compile(
    r"assert|Assert|fail\b|expect\b|raises\b|warns\b|fixture|TestCase|Matcher|@\s*\w*\.?(given|when|then)\b"
)
"""What stands in every file that has checks in it."""

_TESTING = re.compile(
    rf"^(?:from[ \t]+(?:{'|'.join(LIBRARIES)})\b|import[ \t][^#\n]*?(?<![\w.])(?:{'|'.join(LIBRARIES)})\b"
    r"|(?:from|import)[ \t]+\w[\w.]*\.testing\b)",
    re.MULTILINE,
)

_IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+\(?([\w., \t]*)|import[ \t]+([\w., \t]+))", re.MULTILINE
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH = (ast.With, ast.AsyncWith)
_COMPOUND = (ast.If, ast.While, ast.For, ast.AsyncFor, *_WITH, ast.Try, ast.TryStar, ast.Match)
_EXITS = (ast.Return, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Checks:
    """Of one file the `lines` that check: assertions, with what decides whether they are reached, and all of
    fixtures, steps and functions that do nothing else. `guarded` are those of functions with an `assert`.
    They `prevail` where most functions do nothing else.
    """

    lines: frozenset[int] = frozenset()
    guarded: frozenset[int] = frozenset()
    prevail: bool = False


def checks_in(source: str) -> Checks:
    """The checks of a file."""
    tree = syntax_tree(source) if MENTIONS.search(source) else None
    if tree is None:
        return Checks()
    functions = list(_functions(tree))
    helpers = _helpers(functions)
    checking = [found for found in functions if found.is_case or found.is_called_by_pytest or found.name in helpers]
    lines = {line for found in checking for line in found.lines}
    guarded = {line for found in functions if found.has_assert for line in found.lines}
    outer = [found for found in functions if not found.within]
    only = sum(found.name in helpers for found in outer)
    return Checks(frozenset({*lines, *_assertions(tree)}), frozenset(guarded), 0 < len(outer) <= 2 * only)


def imports_testing(source: str) -> bool:
    """Whether a module imports at its top what tests are written with."""
    return _TESTING.search(source) is not None


def imported(source: str) -> frozenset[str]:
    """The last parts of the names that a file imports, modules and what is in them."""
    names: set[str] = set()
    for module, members, modules in _IMPORTS.findall(source):
        for dotted in (module, *re.split(r"[,\s]+", f"{members},{modules}")):
            names.add(dotted.rpartition(".")[2])
    return frozenset(names - {""})


def registered(source: str) -> frozenset[str]:
    """The modules whose assertions a file has pytest rewrite, and those that it names as plugins."""
    names: set[str] = set()
    mentioned = "register_assert_rewrite" in source or "pytest_plugins" in source
    tree = syntax_tree(source) if mentioned else None
    for node in ast.walk(tree) if tree else ():
        named: list[ast.expr] = []
        if isinstance(node, ast.Call) and _last_name(node.func) == "register_assert_rewrite":
            named = node.args
        elif isinstance(node, ast.Assign) and "pytest_plugins" in map(_last_name, node.targets):
            named = [node.value]
        for expression in named:
            texts = (inner.value for inner in ast.walk(expression) if isinstance(inner, ast.Constant))
            names.update(text for text in texts if isinstance(text, str))
    return frozenset(names)


def around(source: str) -> dict[int, frozenset[int]]:
    """For each line the other lines of its innermost statement, and the heads of the blocks that this stands in."""
    tree = syntax_tree(source)
    found: dict[int, frozenset[int]] = {}
    for statement, heads in (_heads(tree) if tree else {}).items():
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        own = next(_heads_of(statement)) if isinstance(statement, _COMPOUND) else _lines(statement)
        lines = frozenset(number for head in (own, *heads) for number in head)
        found.update(dict.fromkeys(own, lines))
    return found


def functions_by_line(source: str) -> dict[int, range]:
    """For each line inside of a function the lines of the innermost one."""
    tree = syntax_tree(source)
    found: dict[int, range] = {}
    for function in _functions(tree) if tree else ():
        found.update(dict.fromkeys(function.lines, function.lines))
    return found


@dataclass(frozen=True)
class HoldsTests:
    """Whether a file holds tests, by pytest's settings python_functions and python_classes."""

    functions: tuple[str, ...]
    classes: tuple[str, ...]

    def __call__(self, source: str) -> bool:
        tree = syntax_tree(source)
        return any(self.is_test(found) for found in _functions(tree)) if tree else False

    def is_test(self, found: _Found) -> bool:
        """Whether a function is a test, or a part of a class of tests."""
        if found.is_case or any(_matches(name, self.classes) for name in found.classes):
            return True
        return any(_matches(name, ("test", *self.functions)) for name in (found.name, *found.within))


@dataclass(frozen=True)
class Beside(HoldsTests):
    """The lines of the functions of a test file that are no tests and do not serve them by their names."""

    def __call__(self, source: str) -> frozenset[int]:  # type: ignore[override]
        tree = syntax_tree(source)
        functions = list(_functions(tree)) if tree else []
        tests = [found for found in functions if self.is_test(found) or SETUP.match(found.name)]
        lines = {line for found in functions for line in found.lines}
        return frozenset(lines.difference(*(found.lines for found in tests)))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name begins with a pattern, or is what one with wildcards stands for, as pytest reads them."""
    return any(
        fnmatchcase(name, pattern) if set(pattern) & set("*?[") else bool(pattern) and name.startswith(pattern)
        for pattern in patterns
    )


# --- functions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """One function of a file, with the names of the classes and functions around it.

    `is_case` is whether one of the classes is a TestCase.
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
        """Its lines, those of its decorators among them."""
        first = min([self.node.lineno, *(decorator.lineno for decorator in self.node.decorator_list)])
        return range(first, (self.node.end_lineno or self.node.lineno) + 1)

    @property
    def is_called_by_pytest(self) -> bool:
        """Whether it is a fixture or a step."""
        return not CALLED_BY_PYTEST.isdisjoint(map(_last_name, self.node.decorator_list))

    @property
    def has_assert(self) -> bool:
        return any(isinstance(node, ast.Assert) for node in ast.walk(self.node))


def _functions(
    node: ast.AST, classes: tuple[str, ...] = (), within: tuple[str, ...] = (), *, is_case: bool = False
) -> Iterator[_Found]:
    """Every function of a file, the outer before the inner."""
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
    """The names of functions that only check: they fail, or call each other, and give and keep nothing.

    So are those that nothing but them calls, for what they give decides.
    """
    others = functions
    functions = [found for found in others if not found.name.startswith("test")]
    helpers = {found.name for found in functions if found.name.lstrip("_").startswith("assert")}
    quiet = [found for found in functions if _gives_nothing(found.node)]
    calls = {found.node: _called(found.node) for found in functions}
    helpers |= {found.name for found in quiet if _fails(found.node)}
    while more := {found.name for found in quiet if not helpers.isdisjoint(calls[found.node])} - helpers:
        helpers |= more
    by_code = {name for found in others if found.name not in helpers for name in _called(found.node)}
    by_helpers = {name for found in functions if found.name in helpers for name in calls[found.node]}
    return frozenset(helpers | ({found.name for found in functions} & (by_helpers - by_code)))


def _gives_nothing(node: Function) -> bool:
    """Whether a function returns nothing that tells anything, and changes nothing that outlives it."""
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
    """Whether a function makes a test fail itself."""
    return any(isinstance(inner, ast.stmt) and _is_check(inner) for inner in _own_nodes(node))


def _own_nodes(node: Function) -> Iterator[ast.AST]:
    """The nodes of a function's body without those of the functions in it."""
    waiting: list[ast.AST] = [*node.body]
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(inner))


def _called(node: Function) -> frozenset[str]:
    return frozenset(_last_name(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _last_name(node: ast.expr) -> str:
    """The last part of a dotted name, of what is called where it is a call."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


# --- assertions ----------------------------------------------------------------------------


def _is_check(statement: ast.stmt) -> bool:
    """Whether a statement is an assertion, in whichever words."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.Raise):
        return statement.exc is not None and _last_name(statement.exc) in ("AssertionError", "Failed")
    if isinstance(statement, ast.Expr | ast.Return) and statement.value is not None:
        calls = [node for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
        return any(FAILING.match(_last_name(call.func)) for call in calls)
    if isinstance(statement, _WITH):
        return any(FAILING.match(_last_name(item.context_expr)) for item in statement.items)
    return False


def _assertions(tree: ast.Module) -> Iterator[int]:
    """The lines of assertions, and of an `assert` those of what decides whether it is reached."""
    heads = _heads(tree)
    for statement, blocks in heads.items():
        if _is_check(statement):
            yield from next(_heads_of(statement)) if isinstance(statement, _WITH) else _lines(statement)
        if isinstance(statement, ast.Assert):
            for head in blocks:
                yield from head
        if isinstance(statement, _FUNCTIONS):
            yield from _leaving(statement)


def _leaving(function: Function) -> Iterator[int]:
    """The heads of blocks in which a function is left before its last `assert`."""
    nodes = list(_own_nodes(function))
    last = max((node.lineno for node in nodes if isinstance(node, ast.Assert)), default=0)
    for block in nodes:
        if not isinstance(block, _COMPOUND) or block.lineno > last:
            continue
        if any(isinstance(inner, _EXITS) for inner in ast.walk(block)):
            for head in _heads_of(block):
                yield from head


def _heads(tree: ast.Module) -> dict[ast.stmt, list[range]]:
    """For each statement the heads of the blocks of its function that it stands in."""
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
    """The lines of a compound statement up to its body, and those of its `except` and `case` clauses."""
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
