"""Serves edited source to imports; the files stay as they are."""

from __future__ import annotations

import importlib.machinery
import os
from collections.abc import Mapping
from types import CodeType


def serve_changed(files: Mapping[str, str]) -> None:
    """Have imports in this process and its forks use these texts, by absolute path of the file."""
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code
    texts = {os.path.realpath(path): text for path, text in files.items()}

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        text = texts.get(os.path.realpath(path))
        if text is None:
            return original(self, fullname)
        return compile(text, path, "exec", dont_inherit=True)

    loader.get_code = get_code  # type: ignore[method-assign, assignment]
