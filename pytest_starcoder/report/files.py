"""Report files."""

from __future__ import annotations

from pathlib import Path

from pytest_starcoder.files import replace_file, resolve_target


def write_report(path: Path, text: str, tree: Path | None = None) -> None:
    """Write `path` like `files.replace_file`, creating its folders. Raises OSError."""
    resolve_target(path, tree).parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8", "backslashreplace"), tree)
