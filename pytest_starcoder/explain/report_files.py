"""Formats of report files, by suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.explain.explanation import Report
from pytest_starcoder.explain.json_report import to_json
from pytest_starcoder.explain.markdown import to_markdown
from pytest_starcoder.explain.sarif import to_sarif

FORMATS: Mapping[str, Callable[[Report], str]] = {
    ".sarif.json": to_sarif,  # before its suffix .json
    ".json": to_json,
    ".md": to_markdown,
    ".markdown": to_markdown,
    ".sarif": to_sarif,
}


def find_writer(path: Path) -> Callable[[Report], str]:
    """Return the function that renders a report for `path`.

    Raises ConfigError for an unknown suffix.
    """
    for suffix, render in FORMATS.items():
        if path.name.lower().endswith(suffix):
            return render
    raise ConfigError(
        f"--starcoder-report={path}: the suffix {path.suffix!r} is not supported.",
        f"Use one of {', '.join(sorted(FORMATS))}.",
    )
