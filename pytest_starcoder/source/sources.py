"""Caches the source files of a project, and values computed from them, for one report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

Value = TypeVar("Value")

MAX_BYTES = 2_000_000
"""Maximum size of a source file."""


class SourceFiles:
    """Returns the text of a file by its path relative to the root; empty if unreadable.

    Each file is read once, and each value computed from it once. A cache of fixed size would
    recompute everything for each line once there are more files than it holds. Syntax trees are
    not cached: those of eight hundred modules take a gigabyte.
    """

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._texts: dict[str, str] = {}
        self._values: dict[tuple[Callable[[str], Any], str], Any] = {}

    @classmethod
    def below(cls, root: Path) -> Self:
        def read(path: str) -> str:
            try:
                file = root / path
                # Reading a pipe in the place of a file would never end.
                if file.is_file() and file.stat().st_size <= MAX_BYTES:
                    return file.read_text("utf-8", "replace")
            except (OSError, ValueError):
                pass
            return ""

        return cls(read)

    def __call__(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def derive(self, path: str, compute: Callable[[str], Value]) -> Value:
        """Return `compute` of the text of a file, computed once."""
        # By function, so that callers need no names for what they compute.
        key = compute, path
        if key not in self._values:
            self._values[key] = compute(self(path))
        value: Value = self._values[key]
        return value
