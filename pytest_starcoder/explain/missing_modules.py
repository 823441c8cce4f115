"""Finds out where a missing module, name or fixture could come from."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from pytest_starcoder.explain.dependencies import (
    ASYNC_PLUGINS,
    NAMED_LIKE_MODULE,
    PLUGINS_BY_FIXTURE,
    declared_distributions,
    distribution_of,
    normalize,
)
from pytest_starcoder.explain.failure import Missing
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.project import Project
from pytest_starcoder.source.syntax import syntax_tree

SOURCE_FOLDERS = ("src", "lib", "python", ".")
"""Folders in which projects usually keep their packages."""

BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")

MAX_NAMES = 8
"""Maximum number of a module's names that are listed."""

MAX_FOLDERS = 2_000
"""Maximum number of folders that are searched for a module."""

MAX_DEPTH = 4
"""Maximum depth of these folders."""


class MissingModules:
    """Searches a project for the source of missing modules, names and fixtures."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def module(self, name: str) -> tuple[str, bool]:
        """Return a sentence on a missing module, and whether an installation would be enough."""
        if "." in name or name in sys.stdlib_module_names or _is_importable(name):
            return "", False
        for folder in self._folders_with(name):
            return self._not_on_path(name, folder)
        submodule = self._submodule(name)
        if submodule:
            return submodule, False
        declared = distribution_of(name, self._declared)
        if declared:
            distribution, file = declared
            if _is_installed(distribution):
                return "", False
            command = f"`pip install {distribution}`"
            return f"{name} is not installed, though {file} declares it: {command}", True
        if name in NAMED_LIKE_MODULE:
            return f"{name} is not installed: `pip install {name}`", True
        return "", False

    def fixture(self, missing: Missing) -> str:
        """Return a sentence on the plugin that provides a fixture, or on the nearest fixture."""
        plugin = PLUGINS_BY_FIXTURE.get(missing.name, "")
        if self._lacks(plugin):
            return f"the fixture {missing.name!r} comes from {self._install_hint(plugin)}"
        if missing.detail:
            return f"the nearest fixture is {missing.detail!r}"
        return "no fixture of this run has a similar name"

    def plugin(self) -> str:
        """Return a sentence on a declared but missing plugin that would run async tests."""
        for plugin in ASYNC_PLUGINS:
            if self._lacks(plugin):
                return f"async tests need a plugin: {self._install_hint(plugin)}"
        return ""

    def _lacks(self, distribution: str) -> bool:
        """Return whether the project declares a distribution that is not installed."""
        return normalize(distribution) in self._declared and not _is_installed(distribution)

    def _install_hint(self, distribution: str) -> str:
        name, file = self._declared[normalize(distribution)]
        return f"{name}, which {file} declares but which is not installed: `pip install {name}`"

    def removed_name(self, missing: Missing, history: History) -> str:
        """Return a sentence on when a module of the project lost a name, and what replaced it."""
        module = sys.modules.get(missing.detail)
        file = vars(module).get("__file__") if module is not None else None
        if not isinstance(file, str) or not self._project.holds(file):
            return ""
        path = self._project.path_of(file)
        since, before = _text_with(missing.name, path, history)
        old = _definitions(before)
        new = _definitions(Path(file).read_text("utf-8", "replace"))
        if missing.name not in old:
            names = ", ".join(new)
            return f"{path} defines {names}" if 0 < len(new) <= MAX_NAMES else ""
        kind = old[missing.name]
        added = [name for name in new if new[name] == kind and name not in old]
        fact = f"{path} had the {kind} {missing.name} {since}"
        return f"{fact}; the {kind} {added[0]} is new there" if len(added) == 1 else fact

    # --- modules ---------------------------------------------------------------------------

    def _not_on_path(self, name: str, folder: Path) -> tuple[str, bool]:
        shown = self._project.path_of(str(folder))
        place = "the root folder" if shown == "." else f"{shown}/"
        fact = f"{name} is in {place}, which is not on the import path"
        project = self._build_folder(folder)
        setting = f'`pythonpath = ["{shown}"]` in pytest\'s configuration'
        if project is None:
            tops = (self._project.root, self._project.repository)
            is_usual = folder.name in SOURCE_FOLDERS or folder in tops
            return f"{fact}: set {setting}", is_usual
        where = self._project.path_of(str(project))
        return f"{fact}: run `pip install -e {where}`, or set {setting}", True

    def _build_folder(self, folder: Path) -> Path | None:
        """Return the folder with the build files of the distribution that a folder belongs to."""
        candidates = [folder]
        if folder.name in SOURCE_FOLDERS:
            candidates.append(folder.parent)
        for candidate in candidates:
            if any(_can_build(candidate / name) for name in BUILD_FILES):
                return candidate
        return None

    def _folders_with(self, name: str) -> Iterator[Path]:
        """Yield the folders of the project that contain a top-level module."""
        for folder in self._folders:
            if (folder / name / "__init__.py").is_file() or (folder / f"{name}.py").is_file():
                yield folder

    def _submodule(self, name: str) -> str:
        """Return a sentence on a module of that name inside a package of the project."""
        for folder in self._folders:
            for file in sorted(folder.glob(f"*/{name}.py")):
                if (file.parent / "__init__.py").is_file() and self._project.holds(str(file)):
                    full_name = f"{file.parent.name}.{name}"
                    return f"{self._project.path_of(str(file))} is the module {full_name}"
        return ""

    @cached_property
    def _folders(self) -> list[Path]:
        """The folders of the project that are not packages, the usual ones first."""
        folders: list[Path] = []
        for top in dict.fromkeys((self._project.root, self._project.repository)):
            for folder, subfolders, files in os.walk(top):
                depth = len(Path(folder).relative_to(top).parts)
                is_package = "__init__.py" in files
                if is_package or depth >= MAX_DEPTH or len(folders) > MAX_FOLDERS:
                    subfolders.clear()
                subfolders[:] = filter(self._is_own, subfolders)
                if not is_package and self._project.holds(folder):
                    folders.append(Path(folder))
        return sorted(dict.fromkeys(folders), key=lambda folder: folder.name not in SOURCE_FOLDERS)

    @staticmethod
    def _is_own(folder: str) -> bool:
        return not folder.startswith((".", "_")) and folder not in ("node_modules", "venv", "build")

    @cached_property
    def _declared(self) -> dict[str, tuple[str, str]]:
        return declared_distributions((self._project.root, self._project.repository))


def _is_importable(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _can_build(file: Path) -> bool:
    """Return whether a file describes a distribution, rather than only configuring tools."""
    if not file.is_file():
        return False
    marks = ("[project]", "[build-system]", "[tool.poetry]", "[options]", "[metadata]", "setup(")
    text = file.read_text("utf-8", "replace")
    return any(mark in text for mark in marks)


def _text_with(name: str, path: str, history: History) -> tuple[str, str]:
    """Return when a file last defined a name, and the text of the file at that time."""
    last = history.query("show", f"HEAD:./{path}")
    if name in _definitions(last):
        return "in the last commit", last
    pattern = rf"^(class|def|async def) {re.escape(name)}\b"
    query = ("log", "-1", "--no-textconv", "--no-ext-diff", "--format=%h %s", f"-G{pattern}")
    commit = history.query(*query, "--", path).strip()
    if not commit:
        return "", ""
    short, _, subject = commit.partition(" ")
    return f"before {short} ({subject})", history.query("show", f"{short}^:./{path}")


def _definitions(source: str) -> dict[str, str]:
    """Return the classes and functions of a module: "class" or "function" by name."""
    tree = syntax_tree(source)
    names = {}
    for node in tree.body if isinstance(tree, ast.Module) else ():
        if isinstance(node, ast.ClassDef):
            names[node.name] = "class"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = "function"
    return names
