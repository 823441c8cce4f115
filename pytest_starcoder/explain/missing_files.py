"""Explains why a file does not exist or cannot be opened, from git and the folders around it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pytest_starcoder.explain.similar_names import nearest_name
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.project import Project

TEMPLATES = (".example", ".sample", ".template", ".dist", ".in", "-example", "-sample")
"""Suffixes of templates that users copy by hand."""

MACHINE_FOLDERS = ("etc", "opt", "srv", "usr", "var", "run", "mnt")
"""Top-level folders that belong to the machine: tests do not write to them."""


class MissingFiles:
    """Explains missing files of a project; `history` is that of its repository."""

    def __init__(self, project: Project, history: History) -> None:
        self._project = project
        self._history = history

    def deleted(self, file: str) -> str:
        """Return a sentence if a file that git tracks was deleted; empty otherwise."""
        name = self._path_in_repository(file)
        if not name or os.path.lexists(file):
            return ""
        for query in (("ls-files", "-z", "--", name), ("ls-tree", "-z", "HEAD", "--", name)):
            if self._history.query(*query):
                restore = f"`git checkout HEAD -- {name}` restores it"
                path = self._project.path_of(file)
                return f"{path} was deleted, although git tracks it ({restore})"
        return ""

    def was_changed_since(self, file: str, start: float) -> bool:
        """Return whether a file may have been deleted after `start`, in seconds since the epoch.

        That is so if its folder was modified since, and no new entry explains it.
        """
        folder = Path(file).parent
        while not folder.is_dir():
            folder = folder.parent
        if folder.stat().st_mtime < start:
            return False
        return not any(entry.lstat().st_ctime >= start for entry in folder.iterdir())

    def unavailable(self, file: str) -> str:
        """Return a sentence on a file that this machine lacks; empty if code may have to create it.

        The path must be written in the code or the configuration as it is.
        """
        path = Path(file)
        if os.path.lexists(file):
            return ""
        name = self._path_in_repository(file)
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
        """Return a sentence if the current user may not open an existing file; empty otherwise."""
        path = Path(file)
        try:
            mode = stat.filemode(path.lstat().st_mode)
        except OSError:
            return ""
        if _is_temporary(path) and not self._path_in_repository(file):
            return ""
        if os.access(file, os.R_OK | os.W_OK):
            return ""
        shown = self._project.path_of(file) if self._path_in_repository(file) else file
        return f"the current user has no permission to open {shown} (mode {mode})"

    def _path_in_repository(self, file: str) -> str:
        """Return the path of a file in the repository; empty outside of it."""
        path = Path(os.path.normpath(file))
        folder = self._project.repository
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""


def _is_temporary(path: Path) -> bool:
    return path.is_relative_to(tempfile.gettempdir()) or "pytest-of-" in str(path)


def _has_similar(path: Path) -> bool:
    """Return whether the folder has a file with a similar name, which may have been meant."""
    if not path.parent.is_dir():
        return False
    return bool(nearest_name(path.name, [entry.name for entry in path.parent.iterdir()]))


def _is_machine_file(path: Path) -> bool:
    """Return whether a path is in a folder that belongs to the machine."""
    return len(path.parts) > 1 and path.parts[1] in MACHINE_FOLDERS


def _with_infix(path: Path, ending: str) -> Path:
    """Return the template of `local.ini` that is called `local.example.ini`."""
    return path.with_name(f"{path.stem}{ending}{path.suffix}")
