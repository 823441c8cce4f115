"""A report as annotations of a GitHub Actions run: one workflow command a cause; values in, lines out."""

from __future__ import annotations

import posixpath

from pytest_starcoder.explain.explanation import Report
from pytest_starcoder.explain.sarif import message_of
from pytest_starcoder.review.finding import Review, Severity
from pytest_starcoder.review.text_report import summary, whose
from pytest_starcoder.text.display import counted, one_line

MOST = 10
"""Annotations of one kind that GitHub shows of a step."""


def workflow_commands(report: Report, prefix: str = "") -> list[str]:
    """The lines to print; `prefix` is the folder of the root within its repository, with a slash at its end."""
    lines = []
    for told in report.explanations[:MOST]:
        path = posixpath.normpath(prefix + told.path)  # may lead out of the root
        place = f"file={_value(path)},line={told.line}," if told.path and told.line > 0 else ""
        title = f"{told.exception or 'failure'}, {counted(len(told.nodeids), 'test')}"
        lines.append(f"::error {place}title={_value(one_line(title))}::{_text(message_of(told))}")
    return lines


LEVELS = {Severity.INFO: "notice", Severity.WARNING: "warning", Severity.ERROR: "error"}


def review_commands(review: Review) -> str:
    """One annotation a finding, and one that says how much was reviewed."""
    lines = [
        f"::{LEVELS[found.severity]} file={_value(found.path)},line={found.line},"
        f"title={_value(one_line(f'StarCoder ({whose(found)})', 100))}::{_text(one_line(found.message))}"
        for found in review.findings[:MOST]
    ]
    level = "notice" if review.reviewed == review.total else "warning"
    lines.append(f"::{level} title=StarCoder review::{_text(one_line(summary(review), 1000))}")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return (
        _text(text.encode("utf-8", "backslashreplace").decode())
        .replace(":", "%3A")
        .replace(",", "%2C")
    )
