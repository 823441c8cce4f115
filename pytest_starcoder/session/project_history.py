"""The project of a session, even if pytest's root is not where the code is."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.source.project import Project

MARKS = ("pyproject.toml", "setup.py", "setup.cfg")
"""Files that mark the top of a project outside any repository."""


def project_of(config: pytest.Config) -> Project:
    """Return the project of a session: its root and the repositories around it.

    Those are the ones that contain the root or the folder pytest was started in. Without a
    repository, the folder itself counts, or the nearest one above with one of MARKS.
    """
    root = config.rootpath
    around: list[Path] = []
    for folder in (_top(root), _top(Path(config.invocation_params.dir))):
        # A folder below the root is part of the project anyway.
        is_outside = folder not in around and not folder.is_relative_to(root)
        if is_outside and not _is_shared(folder):
            around.append(folder)
    return Project(root, tuple(around))


def _top(folder: Path) -> Path:
    top = find_repository(folder)
    if top is None:
        # Without git, the nearest folder with a mark is the best guess.
        top = folder
        for above in (folder, *folder.parents):
            if any((above / name).is_file() for name in MARKS):
                top = above
                break
    return folder if _is_shared(top) else top


def _is_shared(folder: Path) -> bool:
    """Return whether a folder is too general to be a project, such as the user's home folder."""
    home = _home()
    temporary = Path(tempfile.gettempdir())
    return folder in (home, *home.parents, temporary, *temporary.parents)


def _home() -> Path:
    """Return the user's home folder, ignoring HOME: tests may run with it set to the project."""
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):  # containers may run as a user without an entry
            return Path(pwd.getpwuid(os.getuid()).pw_dir)
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none


class ProjectHistory(History):
    """The history of a project that has files outside pytest's root."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.root)
        self._project = project

    def changed_lines(self, *, untracked: bool = False) -> dict[str, set[int]]:
        lines = super().changed_lines(untracked=untracked)
        for folder in self._project.around:
            lines |= self._relative(folder, History(folder).changed_lines(untracked=untracked))
        return lines

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        base, lines = super().changed_since_base()
        for folder in self._project.around:
            folder_base, folder_lines = History(folder).changed_since_base()
            base = base or folder_base
            lines = lines | self._relative(folder, folder_lines)
        return base, lines

    def _relative(self, folder: Path, changed: dict[str, set[int]]) -> dict[str, set[int]]:
        """Return the same changes by paths relative to the root."""
        relative = {}
        for path, lines in changed.items():
            relative[self._project.path_of(str(folder / path))] = lines
        return relative
