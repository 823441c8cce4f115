"""Says why a file is not there or cannot be opened, as far as git and the folder tell."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pytest_starcoder.explain.similar_names import nearest_name
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.project import Project

TEMPLATES = (".example", ".sample", ".template", ".dist", ".in", "-example", "-sample")
"""Endings of files that are to be copied by hand."""

MACHINE_FOLDERS = ("etc", "opt", "srv", "usr", "var", "run", "mnt")
"""Folders at the top of a machine that no test writes to."""


class MissingFiles:
    """Looks at files that a test could not open; `git` is the project's repository."""

    def __init__(self, project: Project, git: History) -> None:
        self._project = project
        self._git = git

    def deleted(self, file: str) -> str:
        """Return a sentence on a file that git tracks; empty if it does not."""
        name = self._name_in_repository(file)
        if not name or os.path.lexists(file):
            return ""
        for query in (("ls-files", "-z", "--", name), ("ls-tree", "-z", "HEAD", "--", name)):
            if self._git.query(*query):
                restore = f"`git checkout HEAD -- {name}` restores it"
                path = self._project.path_of(file)
                return f"{path} was deleted, although git tracks it ({restore})"
        return ""

    def was_changed_since(self, file: str, start: float) -> bool:
        """Return whether a file may have been deleted after `start`, in seconds since the epoch.

        Then its folder was modified, and no new entry explains that.
        """
        folder = Path(file).parent
        while not folder.is_dir():
            folder = folder.parent
        if folder.stat().st_mtime < start:
            return False
        return not any(entry.lstat().st_ctime >= start for entry in folder.iterdir())

    def unavailable(self, file: str) -> str:
        """Return a sentence on a file that this machine lacks; empty if code may have to write it.

        `file` stands in the code or the configuration as it is.
        """
        path = Path(file)
        if os.path.lexists(file):
            return ""
        name = self._name_in_repository(file)
        if not name:
            if _is_temporary(path) or not _is_machine_file(path) or _has_similar(path):
                return ""
            return f"{file} does not exist on this machine"
        for ending in TEMPLATES:
            for template in (path.with_name(path.name + ending), _with_infix(path, ending)):
                if template.is_file():
                    shown = self._project.path_of(str(template))
                    return f"{self._project.path_of(file)} does not exist; {shown} is its template"
        return ""

    def forbidden(self, file: str) -> str:
        """Return a sentence on an existing file that this user may not open, or an empty one."""
        path = Path(file)
        try:
            mode = stat.filemode(path.lstat().st_mode)
        except OSError:
            return ""
        if _is_temporary(path) and not self._name_in_repository(file):
            return ""
        if os.access(file, os.R_OK | os.W_OK):
            return ""
        shown = self._project.path_of(file) if self._name_in_repository(file) else file
        return f"the current user has no permission to open {shown} (mode {mode})"

    def _name_in_repository(self, file: str) -> str:
        """Return the name of a file as git has it; empty outside the repository."""
        path = Path(os.path.normpath(file))
        folder = self._project.repository
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""


def _is_temporary(path: Path) -> bool:
    return path.is_relative_to(tempfile.gettempdir()) or "pytest-of-" in str(path)


def _has_similar(path: Path) -> bool:
    """Return whether the folder has a file that may have been meant."""
    if not path.parent.is_dir():
        return False
    return bool(nearest_name(path.name, [entry.name for entry in path.parent.iterdir()]))


def _is_machine_file(path: Path) -> bool:
    """Return whether a path is where machines keep files of their own."""
    return path.parts[1:2] in [
        (name,) for name in ("etc", "opt", "srv", "usr", "var", "run", "mnt")
    ]


def _with_infix(path: Path, ending: str) -> Path:
    """Return the template of `local.ini` that is called `local.example.ini`."""
    return path.with_name(f"{path.stem}{ending}{path.suffix}")
