"""The code around a node: its text, its parents, and the names and expressions in scope."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_starcoder.source.functions import Function, definition_lines
from pytest_starcoder.source.syntax import Offsets

# A long function or a module has hundreds, and each would replace each.
MAX_NAMES = 40
MAX_ATTRIBUTES = 24
MAX_STRINGS = 16
MAX_CONDITIONS = 12
MAX_EXPRESSIONS = 24
MAX_STATEMENTS = 16

MAX_STRING_LENGTH = 40

_KEYWORDS = frozenset(
    "return yield in and or not if elif else while is await assert lambda for from".split()
)
"""Words before a parenthesis that do not call what is in it."""

Assignment = ast.Assign | ast.AugAssign
Operation = Assignment | ast.Return | ast.keyword | ast.Compare | ast.BinOp | ast.Subscript
"""Nodes that use every expression in them as a value."""


@dataclass(frozen=True)
class Observations:
    """Observations of the failure that the edits are to repair.

    `types` are the names of the types of a function's variables, by the function's first line
    (1-based, that of its first decorator) and by variable. `strings` are those in the failing
    test.
    """

    types: Mapping[int, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    strings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """Names and source texts in one function or module, in order, without duplicates.

    `attributes` are those of `self`; `strings` are values, not source text.
    """

    names: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    expressions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


class Context:
    """A parsed source and what was observed of it; answers questions about its nodes."""

    def __init__(self, source: str, tree: ast.Module, observed: Observations) -> None:
        self.source = source
        self.observed = observed
        self._offsets = Offsets(source)
        self._newlines = [match.start() for match in re.finditer("\n", source)]
        self._scopes: dict[ast.AST, Scope] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node

    # --- text ---

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the first character of a node and the one after its last."""
        last = node.end_lineno or node.lineno
        start = self._offsets.of(node.lineno, node.col_offset)
        return start, self._offsets.of(last, node.end_col_offset or 0)

    def decorated_span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the span of a node with its decorators."""
        start, end = self.span(node)
        decorators = getattr(node, "decorator_list", [])
        if decorators:
            start = self.source.rindex("@", 0, self.span(decorators[0])[0])
        return start, end

    def line_number(self, position: int) -> int:
        """Return the 1-based line of a character, counting newlines."""
        return bisect_left(self._newlines, position) + 1

    def text(self, node: ast.expr | ast.stmt) -> str:
        """Return a node as it is written."""
        start, end = self.span(node)
        return self.source[start:end]

    def operand(self, node: ast.expr) -> str:
        """Return a node as it is written, with the parentheses around it."""
        start, end = self.span(node)
        parent = self.parent(node)
        if isinstance(parent, ast.Call) and not self.is_called(node):
            arguments = [*parent.args, *parent.keywords]
            if len(arguments) == 1:
                return self.source[start:end]  # the parentheses are those of the call
        while enclosed := _with_parentheses(self.source, start, end):
            start, end = enclosed
        return self.source[start:end]

    def operands(self, nodes: Iterable[ast.expr]) -> list[str]:
        """Return nodes as they are written, with their parentheses."""
        return [self.operand(node) for node in nodes]

    def enclosed(self, node: ast.expr, *types: type[ast.expr]) -> str:
        """Return the operand, in parentheses if it has none and the node is one of `types`."""
        text = self.operand(node)
        if isinstance(node, types) and not text.startswith("("):
            return f"({text})"
        return text

    def replaced(self, node: ast.expr | ast.stmt, part: ast.expr, text: str) -> str:
        """Return a node as it is written, with `text` in place of a node in it."""
        start, end = self.span(node)
        first, last = self.span(part)
        return self.source[start:first] + text + self.source[last:end]

    def indent(self, node: ast.stmt) -> str:
        """Return the white space before a statement."""
        line = self._offsets.line(node.lineno)
        return line[: len(line) - len(line.lstrip())]

    # --- surroundings ---

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self._parents.get(node)

    def function(self, node: ast.AST) -> Function | None:
        """Return the innermost function around a node."""
        outer = self.parent(node)
        while outer is not None and not isinstance(outer, Function):
            outer = self.parent(outer)
        return outer

    def is_called(self, node: ast.AST) -> bool:
        """Return whether a node is the function of a call."""
        parent = self.parent(node)
        return isinstance(parent, ast.Call) and parent.func is node

    def is_condition(self, node: ast.AST) -> bool:
        """Return whether a node is tested: by `if`, `while`, `assert` or in a comprehension."""
        parent = self.parent(node)
        if isinstance(parent, ast.If | ast.While | ast.IfExp | ast.Assert):
            return parent.test is node
        return isinstance(parent, ast.comprehension) and node in parent.ifs

    def is_value(self, node: ast.expr) -> bool:
        """Return whether a node is an argument, an operand, returned, assigned or looped over."""
        parent = self.parent(node)
        if not is_read(node):
            return False
        if isinstance(parent, ast.Call):
            return parent.func is not node
        if isinstance(parent, ast.comprehension | ast.For | ast.AsyncFor):
            return parent.iter is node
        return isinstance(parent, Operation)

    def types(self, node: ast.AST) -> Mapping[str, frozenset[str]]:
        """Return the observed types of the variables around a node, by name."""
        function = self.function(node)
        if function is None:
            return {}
        return self.observed.types.get(definition_lines(function).start, {})

    def may_be(self, node: ast.AST, name: str, types: Iterable[str]) -> bool:
        """Return whether the variable `name` had one of `types`, or was not observed at all."""
        observed = self.types(node).get(name)
        return observed is None or not observed.isdisjoint(types)

    def scope(self, node: ast.AST) -> Scope:
        """Return the scope of the function around `node`, or of the module."""
        outer: ast.AST | None = self.function(node)
        if outer is None:
            outer = node
            while outer in self._parents:
                outer = self._parents[outer]
        if outer not in self._scopes:
            self._scopes[outer] = self._read_scope(outer)
        return self._scopes[outer]

    def _read_scope(self, outer: ast.AST) -> Scope:
        scope = Scope()
        for node in ast.walk(outer):
            # A docstring is an expression statement, too, but is no statement to copy.
            if not is_docstring(node):
                self._add_node(scope, node)
        owner = self.parent(outer)
        if isinstance(owner, ast.ClassDef):
            _add_attributes(scope, owner)
        return scope

    def _add_node(self, scope: Scope, node: ast.AST) -> None:
        match node:
            case ast.arg(arg=name) if name not in ("self", "cls"):
                _add(scope.names, name, MAX_NAMES)
            case ast.Name(id=name, ctx=ast.Store()):
                _add(scope.names, name, MAX_NAMES)
            case ast.Constant(value=str(text)) if len(text) <= MAX_STRING_LENGTH:
                _add(scope.strings, text, MAX_STRINGS)
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                _add(scope.conditions, self.text(test), MAX_CONDITIONS)
            case ast.Call() | ast.BinOp() | ast.Subscript() | ast.Attribute() if is_read(node):
                _add(scope.expressions, self.text(node), MAX_EXPRESSIONS)
            case ast.Assign() | ast.AugAssign() | ast.Return() | ast.Expr():
                _add(scope.statements, self.text(node), MAX_STATEMENTS)


def _add_attributes(scope: Scope, owner: ast.ClassDef) -> None:
    for node in ast.walk(owner):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                _add(scope.attributes, name, MAX_ATTRIBUTES)


def _add(items: list[str], item: str, limit: int) -> None:
    if len(items) < limit and item not in items:
        items.append(item)


def is_read(node: ast.expr) -> bool:
    """Return whether an expression is read, not assigned or deleted."""
    return not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)


def called_name(node: ast.expr) -> str:
    """Return the name of the function that a node calls; empty for a method or no call."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def is_docstring(node: ast.AST) -> bool:
    """Return whether a statement is only a constant, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _with_parentheses(source: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span with the parentheses directly around it; None if there are none."""
    # The source is not sliced up to `start`: this is called for thousands of nodes.
    before = start - 1
    while before >= 0 and source[before].isspace():
        before -= 1
    while source[end : end + 1].isspace():
        end += 1
    is_enclosed = source[before : before + 1] == "(" and source[end : end + 1] == ")"
    if not is_enclosed or _calls(source, before):
        return None
    return before, end + 1


def _calls(source: str, parenthesis: int) -> bool:
    """Return whether an opening parenthesis calls what is before it."""
    line_start = source.rfind("\n", 0, parenthesis) + 1
    before = source[line_start:parenthesis].rstrip(" \t")
    if before.endswith(("_", ")", "]", "}", '"', "'")):
        return True
    if not before[-1:].isalnum():
        return False
    _, _, word = before.split()[-1].rpartition("(")
    return word not in _KEYWORDS
