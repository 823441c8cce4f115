"""How a project tells its test files from other code, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

TEST_FOLDERS = frozenset({"test", "tests", "testing"})
"""Folders of tests and their support code."""

TEST_FILES = (
    *("test_*.py", "*_test.py", "*_tests.py", "test.py", "tests.py", "conftest.py"),
    *("testing.py", "testutil.py", "testutils.py", "testlib.py", "testhelper.py", "testhelpers.py"),
)
"""Test file names of pytest, unittest and others, regardless of the settings."""

MATCH_ALL = frozenset({"*", "*.py", "**/*.py", "**.py"})
"""Values of `python_files` that match every file, and so identify none."""


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
        patterns = (*TEST_FILES, *set(self.patterns).difference(MATCH_ALL))
        return any(fnmatchcase(file.name, pattern) or file.match(pattern) for pattern in patterns)

    def is_under_test_root(self, path: str) -> bool:
        """Return whether a file is below a root that is itself a test folder."""
        return self.folder in TEST_FOLDERS and not path.startswith("../")
