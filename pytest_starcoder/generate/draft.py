"""The targets of generated tests, and drafts of such tests."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath


class TargetKind(StrEnum):
    """The kind of a target. Only public functions have mutants; all kinds count for coverage."""

    FUNCTION = "function"
    PRIVATE = "private function"
    # Only the docstring of the class: its methods are targets of their own.
    CLASS = "class"
    # The code outside all functions.
    MODULE = "module"


@dataclass(frozen=True)
class Target:
    """A definition to generate tests for, or the top level of a module.

    Attributes:
        path: The file, relative to the root.
        module: The name under which tests import the file.
        name: The dotted name within the module; empty for the module itself.
        first: The first line, 1-based, decorators included.
        last: The last line.
        parameters: Names and annotations, without `self` and `cls`.
        defaults: The default values that are literals, by parameter.
        tests: The test file, and after `::` a class in it.
        node: The syntax tree of the definition.
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
    is_async: bool = False
    kind: TargetKind = TargetKind.FUNCTION
    tests: str = "tests/test_generated.py"
    node: ast.AST | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """The name that reports show."""
        return self.name or self.module

    @property
    def folder(self) -> PurePosixPath:
        """The folder of its tests."""
        return PurePosixPath(self.tests.partition("::")[0]).parent

    @property
    def function_name(self) -> str:
        """The last part of the dotted name."""
        return self.name.rpartition(".")[2]

    @property
    def test_stem(self) -> str:
        """The beginning of the names of its tests, after `test_`."""
        name = self.name or self.module.rpartition(".")[2]
        return name.lower().replace(".", "_").strip("_")

    @property
    def is_plain_function(self) -> bool:
        """True for a public function of the module that is called without `await`."""
        return self.kind is TargetKind.FUNCTION and "." not in self.name and not self.is_async


class Origin(StrEnum):
    """The source of a draft, in the order in which drafts are tried."""

    DOCTEST = "doctest"
    RAISES = "documented exception"
    # A relation that holds for all known inputs, of one function or between two.
    PROPERTY = "property"
    # Any input of the annotated types gives a result of the annotated type.
    TYPE_HINT = "type hint"
    MODEL = "model"
    # What the code does now, right or wrong.
    CHARACTERISATION = "characterisation"


@dataclass(frozen=True)
class Draft:
    """One generated test that has not been accepted yet.

    Attributes:
        body: The statements, not indented.
        imports: Import statements; an empty string is a blank line between groups.
        because: The example or promise it was made from, or the name of the model.
        arguments: Fixtures, or arguments that a decorator passes.
    """

    name: str
    body: tuple[str, ...]
    imports: tuple[str, ...]
    origin: Origin
    target: Target
    because: str = ""
    arguments: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    is_async: bool = False

    @property
    def code(self) -> str:
        """The test as a function with its decorators, without a final newline."""
        prefix = "async " if self.is_async else ""
        header = f"{prefix}def {self.name}({', '.join(self.arguments)}):"
        body = textwrap.indent("\n".join(self.body), "    ")
        return "\n".join([*self.decorators, header, body])

    @property
    def source(self) -> str:
        """The test as a module of its own."""
        return "\n".join([*self.imports, "", "", self.code, ""])

    @property
    def draws_inputs(self) -> bool:
        """True for a test of Hypothesis."""
        return self.origin is Origin.TYPE_HINT

    @property
    def module(self) -> tuple[str, str]:
        """The path and the source of the module that it runs in, beside the tests of its target.

        The module exists only in memory.
        """
        path = self.target.folder / f"{self.name}_drafted.py"
        return str(path), self.source

    @property
    def nodeid(self) -> str:
        path, _ = self.module
        return f"{path}::{self.name}"
