"""Reads which statements of a test function check values, and which ones set what others use."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType

from pytest_starcoder.source.functions import Function, function_of
from pytest_starcoder.source.lines import long_statements

EXPECTATIONS = ("raises", "warns", "deprecated_call", "assertRaises", "assertWarns", "assertLogs")
"""Context managers that check what their body does."""

BODY_FIELDS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a compound statement that hold other statements."""


@dataclass(frozen=True)
class StatementEffects:
    """The variables that one statement, or the head of a compound one, reads and sets.

    `is_check`: it only looks at values, such as an assertion.
    """

    is_check: bool
    reads: frozenset[str]
    sets: frozenset[str]

    @property
    def replaces(self) -> bool:
        """True if its results replace those of earlier executions, as in a loop."""
        return bool(self.sets) and not self.sets & self.reads


@dataclass(frozen=True)
class Statements:
    """The statements of a function by their first lines.

    `firsts` maps the other lines of a statement to its first one. `bodies` are
    the lines in `with` statements, at whose end Python returns to the head.
    """

    by_first: Mapping[int, StatementEffects] = field(default_factory=dict)
    firsts: Mapping[int, int] = field(default_factory=dict)
    bodies: Mapping[int, range] = field(default_factory=dict)

    @classmethod
    def of(cls, code: CodeType) -> Statements:
        """Return the statements of a function; none if its source is unknown."""
        function = function_of(code)
        if not isinstance(function, Function):
            return cls()
        by_first: dict[int, StatementEffects] = {}
        firsts: dict[int, int] = {}
        bodies: dict[int, range] = {}
        for line, lines in long_statements(_own_statements(function)).items():
            firsts[line] = lines.start
        for node in _own_statements(function):
            by_first[node.lineno] = _effects_of(node)
            if isinstance(node, ast.With | ast.AsyncWith):
                bodies[node.lineno] = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
        for node in _own_statements(function):
            if _expects(node):  # its body belongs to the check
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                firsts.update(dict.fromkeys(lines, node.lineno))
        return cls(by_first, firsts, bodies)

    def first_of(self, line: int) -> int:
        """Return the first line of the statement on a line."""
        return self.firsts.get(line, line)

    def body_of(self, first: int) -> range:
        """Return the lines in the body of a `with` statement; empty for another one."""
        return self.bodies.get(first, range(0))

    def is_passed(self, first: int, failing: int) -> bool:
        """Return whether earlier executions of a statement, as in a loop, cannot matter.

        Those of the failing statement have passed, and results of others may be replaced.
        """
        statement = self.by_first.get(first)
        return first == failing or (statement is not None and statement.replaces)

    def checked_before(self, failing: int, executed: Collection[int]) -> set[int]:
        """Return the statements whose results passed a check and are not used by `failing`.

        Statements, also `failing`, are given by their first lines.
        """
        used = self._used_by(failing, executed)
        checks = []
        for first in executed:
            statement = self.by_first.get(first)
            if statement is not None and statement.is_check and first != failing:
                checks.append(first)
        checked: set[str] = set()
        for first in checks:
            checked |= self.by_first[first].reads
        passed = set(checks)
        for first in executed:
            statement = self.by_first.get(first)
            if statement is None or statement.is_check or first == failing:
                continue
            if statement.sets & checked and not statement.sets & used:
                passed.add(first)
        return passed

    def _used_by(self, failing: int, executed: Collection[int]) -> set[str]:
        """Return the variables that a statement uses, directly or not."""
        statement = self.by_first.get(failing)
        used = set(statement.reads) if statement is not None else set()
        size = -1
        while len(used) > size:
            size = len(used)
            for first in executed:
                statement = self.by_first.get(first)
                if statement is not None and statement.sets & used:
                    used |= statement.reads
        return used


def _own_statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function, without those of nested functions."""
    for name in BODY_FIELDS:
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt):
                yield child
            if not isinstance(child, Function | ast.ClassDef):
                yield from _own_statements(child)


def _effects_of(node: ast.stmt) -> StatementEffects:
    reads: set[str] = set()
    sets: set[str] = set()
    for part in _head_nodes(node):
        match part:
            case ast.Name(id=name, ctx=ast.Load()):
                reads.add(name)
            case ast.Name(id=name):
                sets.add(name)
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                sets.add(_base_name(part))
    if isinstance(node, ast.AugAssign):
        reads |= sets
    ignored = {"self", ""}
    return StatementEffects(_is_check(node), frozenset(reads - ignored), frozenset(sets - ignored))


def _base_name(node: ast.AST) -> str:
    """Return `a` of `a.b[c].d`; empty if it does not begin with a name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _head_nodes(node: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement; of a compound one, only those of its head."""
    if _expects(node) or isinstance(node, Function | ast.ClassDef):
        yield from ast.walk(node)
        return
    for name, value in ast.iter_fields(node):
        if name in BODY_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from ast.walk(child)


def _is_check(node: ast.stmt) -> bool:
    match node:
        case ast.Assert():
            return True
        case ast.Expr(value=ast.Call() as call):
            return _called_name(call).startswith("assert")
    return _expects(node)


def _expects(node: ast.stmt) -> bool:
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    calls = [item.context_expr for item in node.items]
    return any(_called_name(call).startswith(EXPECTATIONS) for call in calls)


def _called_name(node: ast.expr) -> str:
    """Return the last name of the function that an expression calls; empty if it is no call."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
    return ""
