"""A report as annotations of a GitHub Actions run: one workflow command a cause; values in, lines out."""

from __future__ import annotations

from pytest_starcoder.report.sarif import message_of
from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.values import Report

MOST = 10
"""Annotations of one kind that GitHub shows of a step."""


def workflow_commands(report: Report, prefix: str = "") -> list[str]:
    """The lines to print; `prefix` is the folder of the root within its repository, with a slash at its end."""
    lines = []
    for told in report.explanations[:MOST]:
        place = f"file={_value(prefix + told.path)},line={told.line}," if told.path and told.line > 0 else ""
        title = f"{told.exception or 'failure'}, {counted(len(told.nodeids), 'test')}"
        lines.append(f"::error {place}title={_value(one_line(title))}::{_text(message_of(told))}")
    return lines


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _text(text.encode("utf-8", "backslashreplace").decode()).replace(":", "%3A").replace(",", "%2C")
