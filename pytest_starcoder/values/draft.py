"""Tests that do not exist yet: what they are for, where they come from, and what running them has shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Target:
    """A function that wants tests: `name` is dotted within its module; lines are 1-based, the decorators' included.

    `module` is the name under which tests import it; `parameters` are their names, without self and cls,
    `defaults` the values of those that have a literal one.
    """

    path: str
    module: str
    name: str
    first: int
    last: int
    parameters: tuple[str, ...] = ()
    docstring: str = ""
    defaults: tuple[tuple[str, object], ...] = ()

    @property
    def function(self) -> str:
        return self.name.rpartition(".")[2]


class Origin(StrEnum):
    """Where a draft comes from; reports keep them apart."""

    DOCTEST = "doctest"
    """An example in a docstring."""
    RAISES = "documented exception"
    """An exception that a docstring promises."""
    SIBLING = "property"
    """What holds for all inputs that are known: of one function, or of two."""
    MODEL = "model"
    CHARACTERISATION = "characterisation"
    """What the code does now, whether that is right or not."""


@dataclass(frozen=True)
class Draft:
    """One test: its name, the statements of its body without indentation, and the imports that they need."""

    name: str
    body: tuple[str, ...]
    imports: tuple[str, ...]
    origin: Origin
    target: Target
    because: str = ""

    @property
    def source(self) -> str:
        """It as a module of its own."""
        lines = [f"    {line}" if line else "" for statement in self.body for line in statement.split("\n")]
        return "\n".join([*self.imports, "", "", f"def {self.name}():", *lines, ""])
