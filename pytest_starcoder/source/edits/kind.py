"""What a kind of edit is: a rule that turns one node into other source texts, with a name, a cost and a direction."""

from __future__ import annotations

import ast
import importlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from pytest_starcoder.source.syntax import Offsets


class Direction(StrEnum):
    """What a kind is for: mutants, fixes, or both."""

    BREAKS = "breaks"
    REPAIRS = "repairs"
    BOTH = "both"


EXTENDED = 3.0
"""Costs from here on are of kinds that are tried once the plain ones are through."""


@dataclass(frozen=True)
class Seen:
    """What was observed of the failure.

    `types` are the names of the types that the variables of functions had, by
    the function's first line (1-based, that of its first decorator) and by
    name; `strings` are the texts that the failing test holds.
    """

    types: Mapping[int, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    strings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """What may stand instead of a node; `cost` replaces the kind's own, as does `kind` its name."""

    source: str
    cost: float = 0.0
    kind: str = ""


class Place:
    """Where a node stands: its source, its parents, and what is in scope there."""

    def __init__(self, source: str, tree: ast.Module, seen: Seen) -> None:
        self.source = source
        self.seen = seen
        self.parents: dict[ast.AST, ast.AST] = {}
        self._offsets = Offsets(source)
        self._newlines = [found.start() for found in re.finditer("\n", source)]
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
        self._scopes: dict[ast.AST, Scope] = {}

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        last = node.end_lineno or node.lineno
        return self._offsets.of(node.lineno, node.col_offset), self._offsets.of(
            last, node.end_col_offset or 0
        )

    def whole(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The span of a node with its decorators."""
        start, end = self.span(node)
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.decorator_list
        ):
            start = self.source.rindex("@", 0, self.span(node.decorator_list[0])[0])
        return start, end

    def line(self, start: int) -> int:
        """Return the 1-based line of a character, counting newlines."""
        return bisect_left(self._newlines, start) + 1

    def text(self, node: ast.expr | ast.stmt) -> str:
        """A node as it is written."""
        start, end = self.span(node)
        return self.source[start:end]

    def operand(self, node: ast.expr) -> str:
        """A node as it is written, in the parentheses that it stands in."""
        start, end = self.span(node)
        while True:
            before, after = start - 1, end
            while before >= 0 and self.source[before].isspace():
                before -= 1
            while after < len(self.source) and self.source[after].isspace():
                after += 1
            parent = self.parents.get(node)
            call = (
                isinstance(parent, ast.Call)
                and node is not parent.func
                and len(parent.args) + len(parent.keywords) == 1
            )
            if (
                before < 0
                or after >= len(self.source)
                or self.source[before] != "("
                or self.source[after] != ")"
            ):
                break
            if call or _is_call(self.source, before):
                break
            start, end = before, after + 1
        return self.source[start:end]

    def indent(self, node: ast.stmt) -> str:
        """The white space before a statement's line."""
        line = self._offsets.line(node.lineno)
        return line[: len(line) - len(line.lstrip())]

    def function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a node."""
        found: ast.AST | None = self.parents.get(node)
        while found is not None and not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            found = self.parents.get(found)
        return found

    def types(self, node: ast.AST) -> Mapping[str, frozenset[str]]:
        """The types that the variables around a node were seen with; empty where nothing was."""
        around = self.function(node)
        if around is None:
            return {}
        return self.seen.types.get(
            min([around.lineno, *(found.lineno for found in around.decorator_list)]), {}
        )

    def scope(self, node: ast.AST) -> Scope:
        """What the function around `node` has, or the module."""
        around: ast.AST | None = self.function(node)
        if around is None:
            around = node
            while around in self.parents:
                around = self.parents[around]
        if around not in self._scopes:
            self._scopes[around] = Scope.of(around, self)
        return self._scopes[around]


MOST = (40, 24, 16, 12, 24, 16)
"""How many of each a scope holds: a long function, or a module, has hundreds, and each would stand for each."""


@dataclass(frozen=True)
class Scope:
    """Names, attributes of self, strings, expressions, conditions and simple statements of one function."""

    names: tuple[str, ...]
    attributes: tuple[str, ...]
    strings: tuple[str, ...]
    conditions: tuple[str, ...]
    expressions: tuple[str, ...]
    statements: tuple[str, ...]

    @classmethod
    def of(cls, around: ast.AST, place: Place) -> Scope:
        names: dict[str, None] = {}
        strings: dict[str, None] = {}
        conditions: dict[str, None] = {}
        expressions: dict[str, None] = {}
        statements: dict[str, None] = {}
        for node in ast.walk(around):
            if isinstance(node, ast.arg) and node.arg not in ("self", "cls"):
                names[node.arg] = None
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and len(node.value) <= 40
            ):
                strings[node.value] = None
            if isinstance(node, ast.If | ast.While | ast.IfExp):
                conditions[place.text(node.test)] = None
            if isinstance(
                node, ast.Call | ast.BinOp | ast.Subscript | ast.Attribute
            ) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                expressions[place.text(node)] = None
            if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Return) and not is_text(
                node
            ):
                statements[place.text(node)] = None
        owner = place.parents.get(around)
        attributes = _attributes(owner) if isinstance(owner, ast.ClassDef) else {}
        every = (names, attributes, strings, conditions, expressions, statements)
        return cls(*(tuple(found)[:most] for found, most in zip(every, MOST, strict=True)))


def _attributes(owner: ast.ClassDef) -> dict[str, None]:
    """The attributes of self that the methods of a class give a value to or read."""
    return {
        node.attr: None
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def is_text(node: ast.AST) -> bool:
    """Whether a statement is a constant alone, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_value(node: ast.expr, place: Place) -> bool:
    """Whether a node is handed on: an argument, an operand, what is returned or looped over."""
    parent = place.parents.get(node)
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    if isinstance(parent, ast.Call):
        return parent.func is not node
    if isinstance(parent, ast.comprehension | ast.For | ast.AsyncFor):
        return parent.iter is node
    if isinstance(parent, ast.Assign | ast.AugAssign | ast.Return | ast.keyword):
        return True
    return isinstance(parent, ast.Compare | ast.BinOp | ast.Subscript)


def _is_call(source: str, parenthesis: int) -> bool:
    """Whether what stands before an opening parenthesis is called."""
    before = source[:parenthesis].rstrip(" \t")[-1:]
    if not (before.isalnum() or before in "_)]}\"'"):
        return False
    word = source[:parenthesis].rstrip(" \t").split()[-1] if before.isalnum() else ""
    return word.rpartition("(")[2] not in KEYWORDS


KEYWORDS = frozenset(
    "return yield in and or not if elif else while is await assert lambda for from".split()
)


@dataclass(frozen=True)
class Kind:
    """One rule: `nodes` are the classes of what it changes."""

    name: str
    nodes: tuple[type[ast.AST], ...]
    cost: float
    direction: Direction
    rule: Callable[..., Iterator[str | Text]]


KINDS: list[Kind] = []


def kind(
    name: str, *nodes: type[ast.AST], cost: float, direction: Direction = Direction.BOTH
) -> Callable[[Callable[..., Iterator[str | Text]]], Callable[..., Iterator[str | Text]]]:
    """Makes a function a kind: it takes a node of `nodes` and its `Place`, and yields what may stand instead."""

    def made(rule: Callable[..., Iterator[str | Text]]) -> Callable[..., Iterator[str | Text]]:
        KINDS.append(Kind(name, nodes, cost, direction, rule))
        return rule

    return made


@cache
def every_kind() -> tuple[Kind, ...]:
    """Every kind in every module of the folder `kinds`."""
    folder = Path(__file__).parent / "kinds"
    for module in sorted(found.stem for found in folder.glob("*.py") if found.stem != "__init__"):
        importlib.import_module(f"pytest_starcoder.source.edits.kinds.{module}")
    return tuple(KINDS)
