"""Recognizes test files, tests and the code next to them by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import PurePosixPath

from pytest_starcoder.source.checking_code import FunctionInFile, functions_in

TEST_FOLDERS = frozenset({"test", "tests", "testing"})
"""Folders of tests and their support code."""

TEST_FILES = (
    "test_*.py",
    "*_test.py",
    "*_tests.py",
    "test.py",
    "tests.py",
    "conftest.py",
    "testing.py",
    "testutil.py",
    "testutils.py",
    "testlib.py",
    "testhelper.py",
    "testhelpers.py",
)
"""Test file names of pytest, unittest and others, regardless of the settings."""

MATCH_ALL = frozenset({"*", "*.py", "**/*.py", "**.py"})
"""Values of `python_files` that match every file, and so identify none."""

SETUP = re.compile(r"(async)?(setup|teardown)(_?(class|module|method|function))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Conventions:
    """The names of one session's tests.

    `files` contain collected tests or are pytest plugins; `patterns`, `functions` and `classes`
    are the pytest settings `python_files`, `python_functions` and `python_classes`; `folder` is
    the name of the root folder.
    """

    files: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    functions: tuple[str, ...] = ("test",)
    classes: tuple[str, ...] = ("Test",)
    folder: str = ""

    def is_test_path(self, path: str) -> bool:
        """Return whether the name of a file, or a folder that it is in, marks it as a test file."""
        file = PurePosixPath(path)
        if not TEST_FOLDERS.isdisjoint(file.parts[:-1]):
            return True
        # Both the settings and the usual names: support code follows the latter.
        for pattern in (*TEST_FILES, *self.patterns):
            if pattern in MATCH_ALL:
                continue
            if fnmatchcase(file.name, pattern) or file.match(pattern):
                return True
        return False

    def is_under_test_root(self, path: str) -> bool:
        """Return whether a file is below a root that is itself a test folder."""
        return self.folder in TEST_FOLDERS and not path.startswith("../")

    def holds_tests(self, source: str) -> bool:
        """Return whether a file contains tests."""
        return any(self._is_test(function) for function in functions_in(source))

    def lines_beside_tests(self, source: str) -> frozenset[int]:
        """Return the lines of functions in a test file that are neither tests nor set-up code."""
        lines: set[int] = set()
        test_lines: set[int] = set()
        for function in functions_in(source):
            lines.update(function.lines)
            if self._is_test(function) or SETUP.match(function.name):
                test_lines.update(function.lines)
        return frozenset(lines - test_lines)

    def _is_test(self, function: FunctionInFile) -> bool:
        """Return whether a function is a test or belongs to a test class."""
        if function.is_case or _any_matches(function.classes, self.classes):
            return True
        # A function in a test belongs to the test.
        names = (function.name, *function.functions)
        return _any_matches(names, ("test", *self.functions))


def _any_matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """Return whether a name starts with a pattern or matches one with wildcards, as in pytest."""
    for name, pattern in product(names, patterns):
        if set(pattern).intersection("*?["):
            if fnmatchcase(name, pattern):
                return True
        elif pattern and name.startswith(pattern):
            return True
    return False
