"""Serves other source to imports than what the files contain; the files stay as they are."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Collection, Mapping
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import IO

Texts = Mapping[str, str | None]
"""Texts by the absolute path of a file; None for a file that is to be missing."""


def serve_changed(files: Texts) -> None:
    """Have imports in this process and its forks find these texts instead of the files."""
    texts = {os.path.realpath(path): text for path, text in files.items()}
    _serve_code(texts)
    _forget_imported(texts)
    # Finding modules is patched only if it has to be: every import passes through it.
    if any(text is None or not Path(path).exists() for path, text in texts.items()):
        _serve_names(texts)


def _serve_code(texts: Texts) -> None:
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        text = texts.get(os.path.realpath(path))
        if text is None:
            return original(self, fullname)
        return compile(text.removeprefix("\ufeff"), path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    open_code = io.open_code

    def open_served(path: str) -> IO[bytes]:
        text = texts.get(os.path.realpath(path))
        return open_code(path) if text is None else io.BytesIO(text.encode())

    io.open_code = open_served  # for runpy


def _forget_imported(texts: Texts) -> None:
    """Have packages imported anew if pytest or a plugin has imported one of the files already.

    A project may be a library that pytest itself uses, such as Pygments.
    """
    packages = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and os.path.realpath(file) in texts:
            packages.add(name.partition(".")[0])
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]


def _serve_names(texts: Texts) -> None:
    """Have folders seem to contain the files that have a text, and not those without."""
    original = FileFinder.find_spec

    def find_spec(
        self: FileFinder, fullname: str, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = original(self, fullname, target)
        if spec is not None and spec.origin and spec.has_location:
            origin = os.path.realpath(spec.origin)
            if origin in texts and texts[origin] is None:
                spec = _spec_of_module(fullname, origin, texts) or _spec_without(fullname, origin)
        # A namespace package has no loader, and a module of that name wins over it.
        if spec is None or spec.loader is None:
            return _spec_of_text(fullname, os.path.realpath(self.path), texts) or spec
        return spec

    FileFinder.find_spec = find_spec  # type: ignore[method-assign, assignment]
    folders = set()
    for path, text in texts.items():
        if text is not None:
            folders.add(str(Path(path).parent))
    sys.path_hooks.append(_find_in(folders))
    # A folder that does not exist has been remembered as one without a finder.
    sys.path_importer_cache.clear()


def _spec_of_module(fullname: str, init: str, texts: Texts) -> ModuleSpec | None:
    """Return the module that a package hides if `init` is its file: both have the same name."""
    folder, name = os.path.split(init)
    module = f"{folder}.py"
    if name != "__init__.py" or texts.get(module, "") is None or not Path(module).exists():
        return None
    return importlib.util.spec_from_file_location(fullname, module)


def _spec_without(fullname: str, origin: str) -> ModuleSpec | None:
    """Return what is found if a file is missing: its folder, if it made that a package."""
    folder, name = os.path.split(origin)
    if name != "__init__.py":
        return None
    spec = ModuleSpec(fullname, None)
    spec.submodule_search_locations = [folder]
    return spec


def _spec_of_text(fullname: str, folder: str, texts: Texts) -> ModuleSpec | None:
    name = fullname.rpartition(".")[2]
    package = f"{folder}{os.sep}{name}"
    init = f"{package}{os.sep}__init__.py"
    for path in (init, f"{package}.py"):
        if texts.get(path) is not None:
            loader = SourceFileLoader(fullname, path)
            return importlib.util.spec_from_file_location(fullname, path, loader=loader)
    if not Path(package).exists():
        for path, text in texts.items():
            if text is not None and path.startswith(package + os.sep):
                return _spec_without(fullname, init)
    return None


def _find_in(folders: Collection[str]) -> Callable[[str], FileFinder]:
    """Return a path hook for folders that do not exist, but hold files that have a text."""

    def make_finder(path: str) -> FileFinder:
        folder = os.path.realpath(path or ".")
        is_around = any(each == folder or each.startswith(folder + os.sep) for each in folders)
        if not is_around or Path(folder).exists():
            raise ImportError("no folder of a served file", path=path)
        return FileFinder(path)

    return make_finder
