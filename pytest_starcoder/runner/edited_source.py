"""Serves other source to imports than what the files contain; the files stay as they are."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Mapping
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

Texts = Mapping[str, str | None]
"""Texts by the absolute path of a file; None for a file that is to be missing."""


def serve_changed(files: Texts) -> None:
    """Have imports in this process and its forks find these texts instead of the files."""
    texts = {os.path.realpath(path): text for path, text in files.items()}
    _serve_code(texts)
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
        return compile(text, path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]


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
                spec = None
        # A namespace package has no loader, and a module of that name wins over it.
        if spec is None or spec.loader is None:
            return _spec_of_text(fullname, os.path.realpath(self.path), texts) or spec
        return spec

    FileFinder.find_spec = find_spec  # type: ignore[method-assign, assignment]


def _spec_of_text(fullname: str, folder: str, texts: Texts) -> ModuleSpec | None:
    name = fullname.rpartition(".")[2]
    for path in (f"{folder}{os.sep}{name}{os.sep}__init__.py", f"{folder}{os.sep}{name}.py"):
        if texts.get(path) is not None:
            loader = SourceFileLoader(fullname, path)
            return importlib.util.spec_from_file_location(fullname, path, loader=loader)
    return None
