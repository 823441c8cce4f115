"""Kinds of edits: rules that replace a node, each with a name, a cost and a direction."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints

from pytest_starcoder.source.edits.context import Context

EXTENDED = 3.0
"""Kinds with this cost or more are tried after all cheaper ones."""


class Direction(StrEnum):
    """The use of a kind: for mutants, fixes or both."""

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

Rule = Callable[[Any, Context], Replacements]


@dataclass(frozen=True)
class Kind:
    """A rule, and the class of the nodes that it replaces or a union of classes."""

    name: str
    nodes: type[ast.AST] | UnionType
    cost: float
    direction: Direction
    rule: Rule


KINDS: list[Kind] = []


def kind(
    name: str, *, cost: float, direction: Direction = Direction.BOTH
) -> Callable[[Rule], Rule]:
    """Register a function as a kind.

    The annotation of its parameter `node` says which nodes it is given.
    """

    def register(rule: Rule) -> Rule:
        nodes = get_type_hints(rule)["node"]
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


def with_costs(costs: Mapping[str, float]) -> Iterator[Replacement]:
    """Yield a replacement for each source in `costs`."""
    for source, cost in costs.items():
        yield Replacement(source, cost)


def replace_item(items: list[str], index: int, item: str) -> list[str]:
    """Return the list with another item at `index`."""
    return [*items[:index], item, *items[index + 1 :]]


def drop_each(items: list[str]) -> Iterator[list[str]]:
    """Yield the list without its first item, without its second, and so on."""
    for index in range(len(items)):
        yield [*items[:index], *items[index + 1 :]]


def swap_neighbours(items: list[str]) -> Iterator[list[str]]:
    """Yield the list with its first and second item swapped, and so on."""
    for index in range(len(items) - 1):
        first, second = items[index : index + 2]
        yield [*items[:index], second, first, *items[index + 2 :]]
