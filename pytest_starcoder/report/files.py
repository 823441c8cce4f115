"""The formats of report files, by their suffix: one line a format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.report.markdown import to_markdown
from pytest_starcoder.report.record import to_json
from pytest_starcoder.report.sarif import to_sarif
from pytest_starcoder.values.explanation import Report

FORMATS: Mapping[str, Callable[[Report], str]] = {
    ".json": to_json,
    ".md": to_markdown,
    ".markdown": to_markdown,
    ".sarif": to_sarif,
    ".sarif.json": to_sarif,
}


def writer(path: Path) -> Callable[[Report], str]:
    """The writer for a file of that name; raises ConfigError where its suffix names no format."""
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return FORMATS[suffix]
    raise ConfigError(
        f"--starcoder-report={path}: no format has that suffix.", f"There are {', '.join(dict.fromkeys(FORMATS))}."
    )


def save(path: Path, text: str) -> None:
    """Writes `path` whole or not at all, with the folders that it needs; who may read it stays. Raises OSError."""
    path = path.resolve()  # a link stays one
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        partial.chmod(mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    """The mask of the process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
