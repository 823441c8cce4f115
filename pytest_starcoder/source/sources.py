"""Caches the source files of a project, and values computed from them, for one report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

LARGEST = 2_000_000
"""Maximum size of a source file in bytes."""


class Sources:
    """Returns the text of a file by its path relative to the root; empty if unreadable.

    Each file is read once, and each value computed from it once. A cache of fixed
    size would recompute everything for each line once there are more files than it
    holds. Syntax trees are not kept: those of eight hundred modules take a gigabyte.
    """

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._texts: dict[str, str] = {}
        self._answers: dict[tuple[Callable[[str], Any], str], Any] = {}

    def __call__(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def about(self, path: str, work_out: Callable[[str], Value]) -> Value:
        """Return `work_out` of the text of a file, computed once."""
        key = work_out, path
        if key not in self._answers:
            self._answers[key] = work_out(self(path))
        answer: Value = self._answers[key]
        return answer


def sources_of(root: Path) -> Sources:
    """Return the sources below `root`."""

    def read(path: str) -> str:
        try:
            file = root / path
            # Reading a pipe in the place of a file would never end.
            fits = file.is_file() and file.stat().st_size <= LARGEST
            return file.read_text("utf-8", "replace") if fits else ""
        except (OSError, ValueError):
            return ""

    return Sources(read)
