"""Kinds of edits: rules that replace a node, each with a name, a cost and a direction."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from pytest_starcoder.source.edits.context import Context

EXTENDED = 3.0
"""Kinds with this cost or more are tried after all cheaper ones."""


class Direction(StrEnum):
    """Whether a kind makes mutants, fixes or both."""

    BREAKS = "breaks"
    REPAIRS = "repairs"
    BOTH = "both"


@dataclass(frozen=True)
class Replacement:
    """Source to put in place of a node, with a `cost` and `kind` other than the rule's."""

    source: str
    cost: float = 0.0
    kind: str = ""


Replacements = Iterator[str | Replacement]

# The node has one of the classes that the rule is registered for.
Rule = Callable[[Any, Context], Iterator[Any]]


@dataclass(frozen=True)
class Kind:
    """A rule and the classes of the nodes that it replaces."""

    name: str
    nodes: tuple[type[ast.AST], ...]
    cost: float
    direction: Direction
    rule: Rule


KINDS: list[Kind] = []


def kind(
    name: str, *nodes: type[ast.AST], cost: float, direction: Direction = Direction.BOTH
) -> Callable[[Rule], Rule]:
    """Register a function as a kind: it takes a node and its context, and yields replacements."""

    def register(rule: Rule) -> Rule:
        KINDS.append(Kind(name, nodes, cost, direction, rule))
        return rule

    return register


@cache
def every_kind() -> tuple[Kind, ...]:
    """Return every kind in every module of the folder `kinds`."""
    folder = Path(__file__).parent / "kinds"
    for module in sorted(path.stem for path in folder.glob("[!_]*.py")):
        importlib.import_module(f"pytest_starcoder.source.edits.kinds.{module}")
    return tuple(KINDS)


def drop_each(items: list[str]) -> Iterator[list[str]]:
    """Yield the list without its first item, without its second, and so on."""
    for index in range(len(items)):
        yield [*items[:index], *items[index + 1 :]]


def swap_neighbours(items: list[str]) -> Iterator[list[str]]:
    """Yield the list with its first and second item swapped, and so on."""
    for index in range(len(items) - 1):
        first, second = items[index : index + 2]
        yield [*items[:index], second, first, *items[index + 2 :]]
