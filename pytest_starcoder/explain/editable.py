"""Decides where a fix may be made: in the code under test, never in checking code.

Changing an assertion, a test, a fixture or test data makes tests pass but says
nothing about the code. Takes sources, returns lines; nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import PurePosixPath

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.suspicion import Line
from pytest_starcoder.source import checking_code
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import Sources

FOLDERS = frozenset({"test", "tests", "testing"})
"""Folders of tests and their support code."""

FILES = (
    *("test_*.py", "*_test.py", "*_tests.py", "test.py", "tests.py", "conftest.py"),
    *("testing.py", "testutil.py", "testutils.py", "testlib.py", "testhelper.py", "testhelpers.py"),
)
"""Test file names of pytest, unittest and others, whatever the settings are."""

DATA = frozenset(
    """
    fixture fixtures factories sample samples expected golden dummy dummies fake fakes mock mocks stubs testdata
    """.split()
)
"""Words in the names of files and folders that may hold the data of tests; code of the project may have them, too."""

EVERYTHING = frozenset({"*", "*.py", "**/*.py", "**.py"})
"""Values of python_files that match every file."""

LEAVING = re.compile(r"\b(return|raise|break|continue|yield)\b")
"""Keywords that can keep a later assertion from being reached."""

MOST = 400
"""Maximum number of places per cause; fewer are ever tried."""


@dataclass(frozen=True)
class Conventions:
    """How a session tells its tests from other code.

    `files` contain collected tests or are pytest plugins; `patterns`,
    `functions` and `classes` are pytest's settings python_files,
    python_functions and python_classes; `folder` is the name of the root.
    """

    files: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    functions: tuple[str, ...] = ("test",)
    classes: tuple[str, ...] = ("Test",)
    folder: str = ""

    def name_a_test_file(self, path: str) -> bool:
        """Return whether a path is a test file by its name or a folder it is in."""
        file = PurePosixPath(path)
        if not FOLDERS.isdisjoint(file.parts[:-1]):
            return True
        patterns = (*FILES, *(pattern for pattern in self.patterns if pattern not in EVERYTHING))
        return any(fnmatchcase(file.name, pattern) or file.match(pattern) for pattern in patterns)

    def root_is_for_tests(self, path: str) -> bool:
        """Return whether a file is below a root that is itself a test folder."""
        return self.folder in FOLDERS and not path.startswith("../")


@dataclass(frozen=True)
class Places:
    """Where a cause may be fixed: `lines`, most suspicious first, and where edits may reach."""

    lines: tuple[Line, ...] = ()
    may_change: Callable[[Line], bool] = field(default=lambda _line: True, repr=False)
    is_guarded: Callable[[Line], bool] = field(default=lambda _line: False, repr=False)

    def allow(self, edit: Edit) -> bool:
        """Return whether none of the lines that an edit replaces is checking code."""
        touched = [(edit.path, edit.line + number) for number in range(edit.before.count("\n") + 1)]
        if not all(map(self.may_change, touched)):
            return False
        leaving = set(LEAVING.findall(edit.after)) - set(LEAVING.findall(edit.before))
        return not (leaving and any(map(self.is_guarded, touched)))


class Fixable:
    """Tells code under test from what checks it, in the files of one report."""

    def __init__(self, sources: Sources, conventions: Conventions) -> None:
        self._sources = sources
        self._conventions = conventions
        self._known: frozenset[str] = conventions.files
        self._by_stem: dict[str, list[str]] | None = None
        self._registered: frozenset[str] | None = None
        self._tests: dict[str, bool] = {}

    def learn(self, paths: Iterable[str]) -> None:
        """Add files that tests import: the import graph shows which ones only support tests."""
        if not self._known.issuperset(paths := frozenset(paths)):
            self._known |= paths
            self._by_stem = self._registered = None
            self._tests = {}

    def is_check(self, line: Line) -> bool:
        """Return whether a line is an assertion or in a function that only checks."""
        path, number = line
        return number in self._checks(path).lines

    def places(
        self, failures: Sequence[Failure], ranked: Sequence[Line], scores: Mapping[Line, float]
    ) -> Places:
        """Return where `failures` may be fixed, among the `ranked` lines.

        Test files are excluded, unless the failing tests run nothing else: then the
        code is beside its tests, and functions in test files may be changed.
        """
        failed = self._failed(failures)
        own = {failure.nodeid.partition("::")[0] for failure in failures}

        def is_code(line: Line) -> bool:
            return not self.is_test_file(line[0]) and not self.is_check(line) and line not in failed

        def is_beside(line: Line) -> bool:
            path, number = line
            if not self.is_test_file(path):
                return is_code(line)
            if not (path in own or self._may_hold_code(path)) or path.endswith("conftest.py"):
                return False
            conventions = self._conventions
            functions = self._sources.about(
                path, checking_code.Beside(conventions.functions, conventions.classes)
            )
            return number in functions and not self.is_check(line) and line not in failed

        raising = self._raising(failures)
        near = {path for path, _ in raising}
        used: set[str] = set()
        for path in near:
            used |= self._sources.about(path, checking_code.imported)
        near |= {path for path in self._known if _module(path).rpartition(".")[2] in used}

        def is_code_elsewhere(line: Line) -> bool:
            return line not in raising and is_code(line)

        may_change = is_beside
        if any(line in scores and is_code(line) for line in ranked):
            may_change = is_code
        if any(line in scores and line[0] not in near and is_code(line) for line in ranked):
            may_change = is_code_elsewhere
        lines = tuple(islice(filter(may_change, ranked), MOST))
        return Places(lines, may_change, lambda line: line[1] in self._checks(line[0]).guarded)

    def is_test_file(self, path: str) -> bool:
        """Return whether a file contains tests or only supports them."""
        if path not in self._tests:
            self._tests[path] = self._serves_tests(path)
        return self._tests[path]

    def _serves_tests(self, path: str) -> bool:
        if self._looks_like_tests(path) or self._conventions.root_is_for_tests(path):
            return True
        if path in self._conventions.files and self._holds_tests(path):
            return True
        module = f".{_module(path)}."
        if any(
            f".{name}." in module or f".{name}.".endswith(module)
            for name in self._registered_names()
        ):
            return True
        return (
            self._only_checks(path) or self._is_data_of_tests(path) or self._imports_helpers(path)
        )

    def _is_data_of_tests(self, path: str) -> bool:
        """Whether a file is named as data of tests, is imported by tests alone, and has none of its own."""
        file = PurePosixPath(path)
        if DATA.isdisjoint(
            f"{file.parent.name}_{file.stem}".split("_")
        ) or self._is_imported_by_code(path):
            return False
        names = {PurePosixPath(other).stem for other in self._known}
        return names.isdisjoint((f"test_{file.stem}", f"{file.stem}_test"))

    def _looks_like_tests(self, path: str) -> bool:
        return self._conventions.name_a_test_file(path) or self._sources.about(
            path, checking_code.imports_testing
        )

    def _holds_tests(self, path: str) -> bool:
        holds = checking_code.HoldsTests(self._conventions.functions, self._conventions.classes)
        return path.endswith("conftest.py") or self._sources.about(path, holds)

    def _may_hold_code(self, path: str) -> bool:
        """Return whether only the root's name or an import makes a file a test file."""
        if self._conventions.name_a_test_file(path):
            return False
        package = (PurePosixPath(path).parent / "__init__.py").as_posix()
        return self._conventions.root_is_for_tests(path) or package in self._known

    def _only_checks(self, path: str) -> bool:
        """Return whether a file consists of assertions and no code imports it."""
        return self._checks(path).prevail and not self._is_imported_by_code(path)

    def _is_imported_by_code(self, path: str) -> bool:
        name = _module(path).rpartition(".")[2]
        return any(
            name in self._sources.about(other, checking_code.imported)
            and not self._looks_like_tests(other)
            and not self._checks(other).prevail
            for other in self._known - {path}
        )

    def _imports_helpers(self, path: str) -> bool:
        """Return whether a file imports test support, as code under test never does."""
        if self._by_stem is None:
            self._by_stem = {}
            for other in self._known:
                self._by_stem.setdefault(_module(other).rpartition(".")[2], []).append(other)
        for name in self._sources.about(path, checking_code.imported):
            named = self._by_stem.get(name, [])
            if len(named) != 1 or named[0] == path or named[0].endswith("__init__.py"):
                continue  # several of that name: unclear which one is imported
            if self._sources.about(named[0], checking_code.imports_testing) or self._only_checks(
                named[0]
            ):
                return True
        return False

    def _registered_names(self) -> frozenset[str]:
        """Return the modules that tests register for assertion rewriting or load as plugins."""
        if self._registered is None:
            names = (self._sources.about(path, checking_code.registered) for path in self._known)
            self._registered = frozenset().union(*names)
        return self._registered

    def _checks(self, path: str) -> checking_code.Checks:
        return self._sources.about(path, checking_code.checks_in)

    def _failed(self, failures: Sequence[Failure]) -> Set[Line]:
        """Return the lines of the failed checks and of the conditions that lead to them."""
        lines: set[Line] = set()
        for failure in failures:
            if failure.exception in ("AssertionError", "Failed") and failure.frames:
                last = failure.frames[-1]
                around = self._sources.about(last.path, checking_code.around).get(
                    last.line, frozenset()
                )
                lines |= {(last.path, number) for number in (last.line, *around)}
        return lines

    def _raising(self, failures: Sequence[Failure]) -> Set[Line]:
        """Return functions whose own check failed, in files that no code imports."""
        lines: set[Line] = set()
        for failure in failures:
            last = (
                failure.frames[-1]
                if failure.exception in ("AssertionError", "Failed") and failure.frames
                else None
            )
            if last is not None and not self._is_imported_by_code(last.path):
                around = self._sources.about(last.path, checking_code.functions_by_line).get(
                    last.line, ()
                )
                lines |= {(last.path, number) for number in around}
        return lines


def _module(path: str) -> str:
    """Return the dotted module name of a file, judging by its path."""
    parts = [
        part for part in PurePosixPath(path).with_suffix("").parts if part not in ("..", "src")
    ]
    return ".".join(parts[:-1] if parts and parts[-1] == "__init__" else parts)
