"""A review as annotations of a GitHub Actions run."""

from __future__ import annotations

from pytest_starcoder.report.github import MAX_ANNOTATIONS, escape_message, escape_property
from pytest_starcoder.review.finding import Review, Severity
from pytest_starcoder.review.text_report import summary
from pytest_starcoder.text.display import one_line

LEVELS = {Severity.INFO: "notice", Severity.WARNING: "warning", Severity.ERROR: "error"}


def review_commands(review: Review) -> str:
    """Return one command per finding, and one that says how much was reviewed."""
    lines = []
    for finding in review.findings[:MAX_ANNOTATIONS]:
        path = escape_property(finding.path)
        title = escape_property(one_line(f"StarCoder ({finding.author})", 100))
        message = escape_message(one_line(finding.message))
        level = LEVELS[finding.severity]
        properties = f"file={path},line={finding.line},title={title}"
        lines.append(f"::{level} {properties}::{message}")
    level = "notice" if review.reviewed == review.total else "warning"
    message = escape_message(one_line(summary(review), 1000))
    lines.append(f"::{level} title=StarCoder review::{message}")
    return "\n".join(lines) + "\n"
