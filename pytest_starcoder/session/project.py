"""Whose files a session is about, also where pytest's root is elsewhere than the code."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_starcoder.git import History, repository
from pytest_starcoder.text.shown import Project

MARKS = ("pyproject.toml", "setup.py", "setup.cfg")
"""Files at the top of a project that is in no repository."""


def project_of(config: pytest.Config) -> Project:
    """The project of a session: below its root, and the repository that holds the root or the folder it was started in.

    Without a repository the folder itself counts, or the one above the root that says how the project is built.
    """
    root, here = config.rootpath, Path(config.invocation_params.dir)
    around: list[Path] = []
    for folder in (_top(root), _top(here)):
        if folder not in (root, *around) and not folder.is_relative_to(root) and not _is_everybodys(folder):
            around.append(folder)
    return Project(root, tuple(around))


def _top(folder: Path) -> Path:
    top = repository(folder / "_")
    if top is None:
        marked = (above for above in (folder, *folder.parents) if any((above / name).is_file() for name in MARKS))
        top = next(marked, folder)
    return folder if _is_everybodys(top) else top


def _is_everybodys(folder: Path) -> bool:
    """Whether a folder holds much that has nothing to do with the tests, though it may be a repository of settings."""
    home, temporary = _home(), Path(tempfile.gettempdir())
    return folder in (home, *home.parents, temporary, *temporary.parents)


def _home() -> Path:
    """The user's own folder, whatever HOME says: tests may run with the project for it."""
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):  # a user of a container without an entry
            return Path(pwd.getpwuid(os.getuid()).pw_dir)
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none


class WholeHistory(History):
    """The history of a project of which some files are not below the root."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.root)
        self._project = project

    def changed(self, *, untracked: bool = False) -> dict[str, set[int]]:
        found = super().changed(untracked=untracked)
        for folder in self._project.around:
            found |= self._from(folder, History(folder).changed(untracked=untracked))
        return found

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        branch, found = super().changed_since_base()
        for folder in self._project.around:
            other, more = History(folder).changed_since_base()
            branch, found = branch or other, found | self._from(folder, more)
        return branch, found

    def _from(self, folder: Path, changed: dict[str, set[int]]) -> dict[str, set[int]]:
        """The same by paths that are relative to the root."""
        return {self._project.path_of(str(folder / path)): lines for path, lines in changed.items()}


def place_options(config: pytest.Config) -> list[str]:
    """The options that told the session where its settings and its root are, as they were given."""
    options: list[str] = []
    if config.getoption("inifilename", None):
        options += ["-c", str(config.getoption("inifilename"))]
    if config.getoption("rootdir", None):
        options.append(f"--rootdir={config.getoption('rootdir')}")
    return options
