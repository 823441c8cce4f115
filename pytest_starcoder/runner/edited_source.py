"""Changed source served to whoever imports it: the files stay as they are."""

from __future__ import annotations

import importlib.machinery
import os
from collections.abc import Mapping
from types import CodeType


def serve_changed(files: Mapping[str, str]) -> None:
    """Imports from here on find these texts in those files (absolute paths), in this process and its forks."""
    loader = importlib.machinery.SourceFileLoader
    own = loader.get_code
    texts = {os.path.realpath(path): text for path, text in files.items()}

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        text = texts.get(os.path.realpath(path))
        return (
            own(self, fullname) if text is None else compile(text, path, "exec", dont_inherit=True)
        )

    loader.get_code = get_code  # type: ignore[method-assign, assignment]
