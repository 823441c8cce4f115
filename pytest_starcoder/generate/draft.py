"""Tests that do not exist yet: what they are for, where they come from, and what running them has shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Branch = tuple[int, bool]
"""A way out of the statement on a line: into its body, or past it."""


class Kind(StrEnum):
    """What a target is. Mutants are made of functions that others may call, lines and branches are counted of all."""

    FUNCTION = "function"
    PRIVATE = "private function"
    CLASS = "class"
    """Its docstring alone: its methods are targets of their own."""
    MODULE = "module"
    """What stands in no function."""


@dataclass(frozen=True)
class Target:
    """A definition that wants tests, or what of a module is in none.

    `name` is dotted within its module, empty for the module itself; lines are
    1-based, the decorators' included. `module` is the name under which tests
    import it; `parameters` are the names, without self and cls, with their
    annotations as text, `defaults` the values of those that have a literal one.
    `tests` is where its tests go: a file, and behind `::` a class in it.
    """

    path: str
    module: str
    name: str
    first: int
    last: int
    parameters: tuple[tuple[str, str], ...] = ()
    docstring: str = ""
    defaults: tuple[tuple[str, object], ...] = ()
    returns: str = ""
    awaits: bool = False
    kind: Kind = Kind.FUNCTION
    tests: str = "tests/test_generated.py"

    @property
    def function(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def stem(self) -> str:
        """What names of its tests begin with, behind `test_`."""
        return (self.name or self.module.rpartition(".")[2]).lower().replace(".", "_").strip("_")


class Origin(StrEnum):
    """Where a draft comes from; reports keep them apart."""

    DOCTEST = "doctest"
    """An example in a docstring."""
    RAISES = "documented exception"
    """An exception that a docstring promises."""
    SIBLING = "property"
    """What holds for all inputs that are known: of one function, or of two."""
    SMOKE = "type hint"
    """Whatever is of the types that a function takes gives what it says it returns."""
    MODEL = "model"
    CHARACTERISATION = "characterisation"
    """What the code does now, whether that is right or not."""


@dataclass(frozen=True)
class Draft:
    """One test: its name, the statements of its body without indentation, and the imports that they need.

    `arguments` are fixtures, or what a decorator gives it; `awaits` makes it a coroutine.
    """

    name: str
    body: tuple[str, ...]
    imports: tuple[str, ...]
    origin: Origin
    target: Target
    because: str = ""
    arguments: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    awaits: bool = False

    @property
    def function(self) -> str:
        """It as a function, decorators and all, without a line break at its end."""
        lines = [
            f"    {line}" if line else ""
            for statement in self.body
            for line in statement.split("\n")
        ]
        head = f"{'async ' * self.awaits}def {self.name}({', '.join(self.arguments)}):"
        return "\n".join([*self.decorators, head, *lines])

    @property
    def source(self) -> str:
        """It as a module of its own."""
        return "\n".join([*self.imports, "", "", self.function, ""])
