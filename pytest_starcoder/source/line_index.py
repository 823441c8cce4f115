"""Indexes what the lines of a source file define, use and compute.

Nothing is run. `SourceFiles.derive` keeps one index per file, because every line that a test
executes is looked up.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field

from pytest_starcoder.source.function_names import NamedFunction, functions_by_line
from pytest_starcoder.source.functions import Function, lines_of
from pytest_starcoder.source.lines import long_statements
from pytest_starcoder.source.syntax import syntax_tree

WEIGHTS: dict[type[ast.AST], float] = {
    ast.Compare: 2,
    ast.BinOp: 2,
    ast.BoolOp: 2,
    ast.AugAssign: 1,
    ast.Constant: 1,
    ast.Call: 1,
    ast.Subscript: 1,
    ast.Slice: 1,
    ast.UnaryOp: 1,
    ast.Name: 0.2,
}
"""How much a node adds to the weight of its line.

Operators are wrong more often than names: the kinds of 75 repairs were counted.
"""

WEIGHTLESS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)

Entries = tuple[tuple[str, frozenset[int]], ...]
"""Keys of a table with their lines."""

_BODIES = ("body", "orelse", "finalbody")


@dataclass(frozen=True)
class LineIndex:
    """The lines of one file.

    `definitions` are the lines that assign a name for a module or class, `entries` those of each
    key of a table that is written over several lines. `names` are used on a line. `signatures`
    are lines of default values and decorators, with the lines of the function's body.
    `statements` has the lines of each statement with several lines. `weights` say how much on a
    line can be wrong. `none_returns` are the lines that return None. `branches` are the first
    lines of the branches of each `if`, `for` and `while`, by the line of its head. `functions`
    are the innermost functions around the lines that have one.
    """

    definitions: Mapping[str, Set[int]] = field(default_factory=dict)
    entries: Mapping[str, Entries] = field(default_factory=dict)
    names: Mapping[int, Set[str]] = field(default_factory=dict)
    signatures: tuple[tuple[frozenset[int], range], ...] = ()
    statements: Mapping[int, range] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    none_returns: Set[int] = frozenset()
    branches: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    functions: Mapping[int, NamedFunction] = field(default_factory=dict)

    def with_definitions(self, executed: Set[int], keys: Collection[str] = ()) -> frozenset[int]:
        """Return whole statements and the definitions that they use, of modules and classes.

        A constant or a default value runs when the module is imported, and belongs to every test
        that uses its name. Of a table only the entries with one of `keys` belong to it, if there
        are any.
        """
        lines = self.whole_statements(executed)
        for header, body in self.signatures:
            if not lines.isdisjoint(body):
                lines |= header
        waiting: set[str] = set()
        for line in lines:
            waiting |= self.names.get(line, frozenset())
        done: set[str] = set()
        while waiting:
            name = waiting.pop()
            done.add(name)
            for line in self._definition_lines(name, keys):
                lines.add(line)
                waiting |= self.names.get(line, frozenset()) - done
        return frozenset(lines)

    def _definition_lines(self, name: str, keys: Collection[str]) -> Set[int]:
        lines: set[int] = set()
        for key, entry_lines in self.entries.get(name, ()):
            if key in keys:
                lines |= entry_lines
        return lines or self.definitions.get(name, frozenset())

    def whole_statements(self, executed: Set[int]) -> set[int]:
        """Return executed lines and the others of their statements, on which anything stands.

        A constant on a line of its own has no event, so it never counts as executed.
        """
        lines = set(executed)
        # A set: many executed lines belong to the same statement.
        statements = {self.statements[line] for line in executed if line in self.statements}
        for statement in statements:
            for number in statement:
                if number in self.weights or number in self.names:
                    lines.add(number)
        return lines


def index_lines(source: str) -> LineIndex:
    tree = syntax_tree(source)
    if tree is None:
        return LineIndex()
    names: dict[int, set[str]] = {}
    signatures = []
    none_returns = set()
    branches = {}
    import_time: list[ast.stmt] = []
    # Walked once for everything: a test run indexes every file that it executes.
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Name):
            names.setdefault(node.lineno, set()).add(node.id)
        elif isinstance(node, ast.Attribute):
            # A chain of calls has each attribute on the line where it ends.
            names.setdefault(node.end_lineno or node.lineno, set()).add(node.attr)
        elif isinstance(node, Function):
            signatures.append(_signature(node))
        elif isinstance(node, ast.Return) and _returns_none(node):
            none_returns.add(node.lineno)
        elif isinstance(node, ast.If | ast.For | ast.While):
            branches[node.lineno] = _first_lines(node.body, node.orelse)
        elif isinstance(node, ast.Module | ast.ClassDef):
            import_time += _import_time_statements(node.body)
    definitions, entries = _index_definitions(import_time)
    return LineIndex(
        definitions,
        entries,
        names,
        tuple(signatures),
        long_statements(nodes),
        _weigh_lines(tree),
        none_returns,
        branches,
        functions_by_line(tree),
    )


def _first_lines(*branches: list[ast.stmt]) -> tuple[int, ...]:
    return tuple(branch[0].lineno for branch in branches if branch)


def _index_definitions(
    statements: list[ast.stmt],
) -> tuple[dict[str, set[int]], dict[str, Entries]]:
    """Return the lines that assign each name, and the table entries by name."""
    definitions: dict[str, set[int]] = {}
    entries: dict[str, Entries] = {}
    for statement in statements:
        for name in _targets(statement):
            definitions.setdefault(name, set()).update(lines_of(statement))
            # Only the first assignment of a name counts as its table.
            entries.setdefault(name, tuple(_entries(statement)))
    return definitions, entries


def _weigh_lines(tree: ast.Module) -> dict[int, float]:
    weights: dict[int, float] = {}
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, is_counted = waiting.pop()
        if isinstance(node, ast.stmt):
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_counted = not isinstance(node, WEIGHTLESS) and not is_docstring
        if is_counted and isinstance(node, ast.expr | ast.AugAssign):
            weight = WEIGHTS.get(type(node))
            if weight is not None:
                weights[node.lineno] = weights.get(node.lineno, 0.0) + weight
        # A clause's own expressions do not count; its statements are judged anew.
        if isinstance(node, ast.ExceptHandler | ast.match_case):
            is_counted = False
        waiting.extend((child, is_counted) for child in ast.iter_child_nodes(node))
    return weights


def _returns_none(node: ast.Return) -> bool:
    if isinstance(node.value, ast.Constant):
        return node.value.value is None
    return node.value is None


def _entries(statement: ast.stmt) -> Iterator[tuple[str, frozenset[int]]]:
    """Yield the keys and lines of a table that is assigned over several lines."""
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.expr) or len(lines_of(value)) < 2:
        return
    tables = [value]
    if isinstance(value, ast.Call):
        tables = value.args  # such as MappingProxyType({…})
    for table in tables:
        if not isinstance(table, ast.Dict):
            continue
        for key, entry in zip(table.keys, table.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, frozenset((*lines_of(key), *lines_of(entry)))


def _signature(node: Function) -> tuple[frozenset[int], range]:
    head: set[int] = set()
    for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
        if part is not None:
            head.update(lines_of(part))
    return frozenset(head), range(node.body[0].lineno, lines_of(node).stop)


def _import_time_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module or class body, and those inside `if`, `try` and the like."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            continue
        for name in _BODIES:
            yield from _import_time_statements(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", ()):
            yield from _import_time_statements(handler.body)


def _targets(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that an assignment assigns to."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id
