"""Decides where a fix may be made: in the code under test, never in checking code.

An edit of an assertion, a test, a fixture or test data makes tests pass but says nothing about
the code. Files are only read here, never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.line_features import Line
from pytest_starcoder.source import checking_code, imports
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.node_ids import file_of

TEST_DATA_WORDS = frozenset(
    "fixture fixtures factories sample samples expected golden dummy dummies fake fakes"
    " mock mocks stubs testdata".split()
)
"""Words in the paths of test data; paths of code under test may have them too."""

EXITS = re.compile(r"\b(return|raise|break|continue|yield)\b")
"""Keywords that can keep a later assertion from being reached."""

MAX_PLACES = 400
"""Maximum number of places per cause, more than a search has time for."""


@dataclass(frozen=True)
class Places:
    """The `lines` where a cause may be fixed, most suspicious first, and the limits of edits.

    An edit may touch only lines that `may_change`; on lines before an assertion, which
    `is_guarded`, it must not add a way around that assertion.
    """

    lines: tuple[Line, ...] = ()
    may_change: Callable[[Line], bool] = field(default=lambda _line: True, repr=False)
    is_guarded: Callable[[Line], bool] = field(default=lambda _line: False, repr=False)

    def allow(self, edit: Edit) -> bool:
        """Return whether an edit changes code under test only and skips no assertion."""
        last = edit.line + edit.before.count("\n")
        touched = number_lines(edit.path, edit.line, last)
        if not all(map(self.may_change, touched)):
            return False
        # An exit that was there already skips no more than before.
        exits_before = EXITS.findall(edit.before)
        new_exits = set(EXITS.findall(edit.after)).difference(exits_before)
        return not new_exits or not any(map(self.is_guarded, touched))


def _is_broken_by_code(case: Case) -> bool:
    """Return whether a change of code broke the tests, so that they are not to be changed."""
    pieces = case.breakage.pieces
    return bool(pieces) and not any(piece.in_test for piece in pieces)


def number_lines(path: str, first: int, last: int) -> list[Line]:
    """Return the lines `first` to `last` of a file, both included."""
    return [(path, number) for number in range(first, last + 1)]


class PlaceFinder:
    """Finds code under test among the files of one report.

    `imported` are the files that tests import: their imports show which only support tests.
    """

    def __init__(
        self, sources: SourceFiles, conventions: Conventions, imported: Iterable[str] = ()
    ) -> None:
        self._sources = sources
        self._conventions = conventions
        self._paths = conventions.files.union(imported)
        self._paths_by_stem: dict[str, list[str]] = {}
        for path in self._paths:
            self._paths_by_stem.setdefault(_stem(path), []).append(path)
        self._plugin_modules: frozenset[str] | None = None
        self._is_test_file: dict[str, bool] = {}

    def places(self, case: Case) -> Places:
        """Return where a cause may be fixed, among the ranked lines of its case.

        Test files are excluded, unless the failing tests run nothing else: then the code is
        beside its tests, and functions in test files may be changed.
        """
        rules = _Rules(self, case.cause.failures)
        executed = filter(case.scores.__contains__, case.ranked)
        code_files = {path for path, _ in filter(rules.is_code, executed)}
        if code_files.difference(rules.near_failed_check):
            may_change = rules.is_distant_code
        elif code_files or _is_broken_by_code(case):
            may_change = rules.is_code
        else:
            may_change = rules.is_code_beside_tests
        lines = islice(filter(may_change, case.ranked), MAX_PLACES)
        return Places(tuple(lines), may_change, self._is_guarded)

    # --- lines -----------------------------------------------------------------------------

    def is_check(self, line: Line) -> bool:
        """Return whether a line is an assertion or in a function that only checks."""
        path, number = line
        return number in self._checks(path).lines

    def is_beside_tests(self, line: Line) -> bool:
        """Return whether a line of a test file is in a function that is not part of a test."""
        path, number = line
        return number in self._sources.derive(path, self._conventions.lines_beside_tests)

    def _is_guarded(self, line: Line) -> bool:
        path, number = line
        return number in self._checks(path).guarded

    def _checks(self, path: str) -> checking_code.Checks:
        return self._sources.derive(path, checking_code.checks_in)

    def lines_of_check(self, frame: Frame) -> set[Line]:
        """Return the lines of a failed check and of the conditions that lead to it."""
        around = self._sources.derive(frame.path, checking_code.related_lines)
        numbers = {frame.line, *around.get(frame.line, ())}
        return {(frame.path, number) for number in numbers}

    def lines_of_function(self, frame: Frame) -> set[Line]:
        """Return the lines of the function whose own check failed."""
        functions = self._sources.derive(frame.path, checking_code.function_ranges)
        return {(frame.path, number) for number in functions.get(frame.line, ())}

    # --- files -----------------------------------------------------------------------------

    def is_test_file(self, path: str) -> bool:
        """Return whether a file contains tests or only supports them."""
        if path not in self._is_test_file:
            self._is_test_file[path] = self._serves_tests(path)
        return self._is_test_file[path]

    def _serves_tests(self, path: str) -> bool:
        return (
            self._looks_like_tests(path)
            or self._conventions.is_under_test_root(path)
            or (path in self._conventions.files and self._holds_tests(path))
            or self._is_plugin(path)
            or self._only_checks(path)
            or self._is_test_data(path)
            or self._imports_test_support(path)
        )

    def _looks_like_tests(self, path: str) -> bool:
        return self._conventions.is_test_path(path) or self._sources.derive(
            path, imports.imports_testing
        )

    def _holds_tests(self, path: str) -> bool:
        return path.endswith("conftest.py") or self._sources.derive(
            path, self._conventions.holds_tests
        )

    def _is_plugin(self, path: str) -> bool:
        """Return whether tests register a file for assertion rewriting or load it as a plugin."""
        if self._plugin_modules is None:
            names: set[str] = set()
            for file in self._paths:
                names |= self._sources.derive(file, imports.plugin_modules)
            self._plugin_modules = frozenset(names)
        # The root of imports is unknown, so either name may have more leading parts.
        module = f".{_module(path)}."
        for name in self._plugin_modules:
            plugin = f".{name}."
            if plugin in module or plugin.endswith(module):
                return True
        return False

    def _only_checks(self, path: str) -> bool:
        """Return whether a file consists of assertions and no code imports it."""
        return self._checks(path).prevail and not self.is_imported_by_code(path)

    def _is_test_data(self, path: str) -> bool:
        """Return whether a file is named like test data, only tests import it, and none test it."""
        file = PurePosixPath(path)
        words = f"{file.parent.name}_{file.stem}".split("_")
        if TEST_DATA_WORDS.isdisjoint(words) or self.is_imported_by_code(path):
            return False
        stems = {PurePosixPath(another).stem for another in self._paths}
        return stems.isdisjoint((f"test_{file.stem}", f"{file.stem}_test"))

    def _imports_test_support(self, path: str) -> bool:
        """Return whether a file imports test support, as code under test never does."""
        for name in self._sources.derive(path, imports.imported_names):
            matches = self._paths_by_stem.get(name, [])
            if len(matches) != 1:
                continue  # with several modules of that name it is unclear which one is imported
            [module] = matches
            if module == path or module.endswith("__init__.py"):
                continue
            if self._sources.derive(module, imports.imports_testing):
                return True
            if self._only_checks(module):
                return True
        return False

    def is_imported_by_code(self, path: str) -> bool:
        """Return whether a file that is not part of the tests imports a file."""
        stem = _stem(path)
        for importer in self._paths - {path}:
            if stem not in self._sources.derive(importer, imports.imported_names):
                continue
            is_test = self._looks_like_tests(importer)
            if not is_test and not self._checks(importer).prevail:
                return True
        return False

    def may_hold_code(self, path: str) -> bool:
        """Return whether only the root's name or an import makes a file a test file."""
        if self._conventions.is_test_path(path):
            return False
        if self._conventions.is_under_test_root(path):
            return True
        package = PurePosixPath(path).parent / "__init__.py"
        return package.as_posix() in self._paths

    def imported_by(self, paths: Iterable[str]) -> set[str]:
        """Return the files that `paths` may import, by the last part of their names."""
        names: set[str] = set()
        for path in paths:
            names |= self._sources.derive(path, imports.imported_names)
        return {path for path in self._paths if _stem(path) in names}


class _Rules:
    """Rules for the lines that may be changed to fix `failures`."""

    def __init__(self, finder: PlaceFinder, failures: Sequence[Failure]) -> None:
        self._finder = finder
        self._test_files = {file_of(failure.nodeid) for failure in failures}
        self._failed_check: set[Line] = set()
        self._failed_function: set[Line] = set()
        for frame in _failed_checks(failures):
            self._failed_check |= finder.lines_of_check(frame)
            # A function whose own check failed may be test support if no code imports it.
            if not finder.is_imported_by_code(frame.path):
                self._failed_function |= finder.lines_of_function(frame)
        near = {path for path, _ in self._failed_function}
        self.near_failed_check = near | finder.imported_by(near)

    def is_code(self, line: Line) -> bool:
        path, _ = line
        return not self._finder.is_test_file(path) and self._is_unchecked(line)

    def is_distant_code(self, line: Line) -> bool:
        """Return whether a line is code outside the functions whose own check failed."""
        return line not in self._failed_function and self.is_code(line)

    def is_code_beside_tests(self, line: Line) -> bool:
        path, _ = line
        if not self._finder.is_test_file(path):
            return self._is_unchecked(line)
        if path.endswith("conftest.py"):
            return False
        if path not in self._test_files and not self._finder.may_hold_code(path):
            return False
        return self._finder.is_beside_tests(line) and self._is_unchecked(line)

    def _is_unchecked(self, line: Line) -> bool:
        return line not in self._failed_check and not self._finder.is_check(line)


def _failed_checks(failures: Iterable[Failure]) -> list[Frame]:
    """Return the deepest frame of each failed assertion."""
    frames = []
    for failure in failures:
        is_assertion = failure.exception in ("AssertionError", "Failed")
        if is_assertion and failure.frames:
            frames.append(failure.frames[-1])
    return frames


def _module(path: str) -> str:
    """Return the dotted module name of a file, judging by its path."""
    parts = PurePosixPath(path).with_suffix("").parts
    # `src` is a folder and no package; files outside the root have `..` in their path.
    names = [part for part in parts if part not in ("..", "src")]
    if names and names[-1] == "__init__":
        names.pop()
    return ".".join(names)


def _stem(path: str) -> str:
    """Return the last part of a module's name."""
    return _module(path).rpartition(".")[2]
