"""Reads the failed example of a doctest: its line, the expected and the actual output."""

from __future__ import annotations

import ast
import linecache
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.equality import attributes
from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.source.callees import entered_function, is_instance, resolve_name
from pytest_starcoder.source.project import Project
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

MAX_CODE = 120
"""Maximum length of the code that is quoted."""


@dataclass(frozen=True)
class FailedExample:
    """An example in a docstring or a text file that did not print what it shows.

    `first_line` is the 1-based line on which the text begins, `line` that of the example. `error`
    is the exception that it raised instead, if any.
    """

    name: str
    file: str
    first_line: int
    line: int
    length: int
    source: str
    expected: str
    actual: str
    error: BaseException | None = None

    def describe(self) -> str:
        code = one_line(self.source, MAX_CODE)
        actual, expected = _shown(self.actual), _shown(self.expected)
        return f"{code} printed {actual}, the example expects {expected}"

    def facts(self) -> tuple[str, ...]:
        return differences("==", *_values(self.actual, self.expected))

    def frame(self, project: Project) -> Frame | None:
        """Return the text with the example; None if it is not in a project file."""
        if not project.holds(self.file):
            return None
        lines = linecache.getlines(self.file)[self.first_line - 1 :][: self.length]
        source = "".join(lines).rstrip("\n")
        return Frame(project.path_of(self.file), self.line, self.name, self.first_line, source)

    def called(self) -> Iterator[types.CodeType]:
        """Yield the code of the functions that the example calls."""
        parts = self.name.split(".")
        tree = syntax_tree(self.source)
        for number in range(len(parts), 0, -1):
            module = sys.modules.get(".".join(parts[:number]))
            if not is_instance(module, types.ModuleType) or tree is None:
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    function = entered_function(resolve_name(node.func, vars(module)))
                    if function is not None:
                        yield function.__code__
            return


def _shown(output: str) -> str:
    """Return the output of an example, without quotes if it has one line."""
    if not output:
        return "nothing"
    return short_repr(output) if "\n" in output else one_line(output, MAX_CODE)


def _values(actual: str, expected: str) -> tuple[object, object]:
    """Return the values that two outputs represent, or the outputs themselves."""
    try:
        return ast.literal_eval(actual), ast.literal_eval(expected)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return actual, expected


def failed_example(exc: BaseException) -> FailedExample | None:
    """Return the first example that failed; None if `exc` does not come from a doctest."""
    failures = attributes(exc).get("failures")
    if type(failures) is list and failures:
        exc = failures[0]
    members = attributes(exc)
    test, example = members.get("test"), members.get("example")
    if type(exc).__module__ != "doctest" or test is None or example is None:
        return None
    first_line = (test.lineno or 0) + 1
    error = members.get("exc_info", (None, None))[1]
    return FailedExample(
        name=test.name,
        file=test.filename or "",
        first_line=first_line,
        line=first_line + example.lineno,
        length=test.docstring.count("\n") + 1,
        source=example.source.strip(),
        expected=example.want.rstrip("\n"),
        actual=str(members.get("got", "")).rstrip("\n"),
        error=error if is_instance(error, BaseException) else None,
    )
