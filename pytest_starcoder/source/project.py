"""Tells the project's own files from installed ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

INSTALLED = {
    "site-packages",
    "dist-packages",
    f"python{sys.version_info.major}.{sys.version_info.minor}",
}
"""Folders of installed packages; an environment may be inside the project's folder."""

FOREIGN = (".git", ".hg", "pyvenv.cfg", "conda-meta")
"""Entries that mark a folder as a separate repository or environment."""


@dataclass(frozen=True)
class Project:
    """The user's own files: those below pytest's `root` and below the folders `around` it.

    Paths are relative to the root: `../src/shop.py` for a file beside it.
    """

    root: Path
    around: tuple[Path, ...] = ()

    def holds(self, filename: str) -> bool:
        """Return whether a file is the project's own: not installed, nor in a nested repository."""
        # Tracebacks name the same few files again and again.
        holds = self._known.get(filename)
        if holds is None:
            holds = self._known[filename] = self._holds(filename)
        return holds

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    def _holds(self, filename: str) -> bool:
        path = _normalize(filename)
        if path.is_relative_to(self.root):
            return not _is_installed(path, self.root)
        return any(self._is_own(path, folder) for folder in self.around)

    def path_of(self, filename: str) -> str:
        """Return the path of a project file, relative to the root."""
        path = _normalize(filename)
        if path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return Path(os.path.relpath(path, self.root)).as_posix()

    @property
    def repository(self) -> Path:
        """The outermost folder of the project: its repository, if it has one."""
        for folder in self.around:
            if self.root.is_relative_to(folder):
                return folder
        return self.root

    def file(self, path: str) -> Path:
        """Return the file at a path relative to the root."""
        return _normalize(self.root / path)

    def names_in_diff(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the names of files in a diff, by path, for `git apply` at the root.

        git does not apply changes outside the root: if there is one, all names are relative
        to the common outer folder.
        """
        files = {path: self.file(path) for path in paths}
        for folder in (self.root, *self.around):
            names = {}
            for path, file in files.items():
                if file.is_relative_to(folder):
                    names[path] = file.relative_to(folder).as_posix()
            if len(names) == len(files):
                return names
        return {path: path for path in files}

    def address_of(self, nodeid: str, file: Path) -> str:
        """Return the node id by which pytest can find a test again.

        pytest's name for a test outside the root depends on the arguments of the run, so
        the path of the file is used there.
        """
        if str(file).startswith(self._prefix):  # called for every test
            return nodeid
        _, colons, name = nodeid.partition("::")
        return f"{self.path_of(str(file))}{colons}{name}"

    @cached_property
    def _prefix(self) -> str:
        return os.path.join(self.root, "")  # noqa: PTH118 - with a trailing separator

    def _is_own(self, path: Path, folder: Path) -> bool:
        """Return whether a file outside the root is the project's own, given an outer folder."""
        if not path.is_relative_to(folder) or _is_installed(path, folder):
            return False
        for parent in path.parents:
            if parent == folder:
                break
            if _is_foreign(parent) and not self.root.is_relative_to(parent):
                return False
        return True


def _normalize(filename: str | Path) -> Path:
    # Entries of sys.path may be like `tests/../src`.
    return Path(os.path.normpath(filename))


def _is_installed(path: Path, folder: Path) -> bool:
    return not INSTALLED.isdisjoint(path.relative_to(folder).parts)


@cache
def _is_foreign(folder: Path) -> bool:
    """Return whether a folder is separate from the project around it."""
    return folder.name.startswith(".") or any((folder / name).exists() for name in FOREIGN)


def in_project(filename: str, root: Path) -> bool:
    """Return whether a file is the project's own: below its root, and not installed there."""
    return Project(root).holds(filename)
