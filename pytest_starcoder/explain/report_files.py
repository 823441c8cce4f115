"""The formats of report files, by their suffix: one line a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.explain.explanation import Report
from pytest_starcoder.explain.json_report import to_json
from pytest_starcoder.explain.markdown import to_markdown
from pytest_starcoder.explain.sarif import to_sarif
from pytest_starcoder.files import replace_file, target_of

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
        f"--starcoder-report={path}: no format has that suffix.",
        f"There are {', '.join(dict.fromkeys(FORMATS))}.",
    )


def save(path: Path, text: str, tree: Path | None = None) -> None:
    """Write `path` like `files.replace_file`, creating its folders. Raises OSError."""
    target_of(path, tree).parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8", "backslashreplace"), tree)
