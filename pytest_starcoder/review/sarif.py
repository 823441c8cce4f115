"""A review as SARIF."""

from __future__ import annotations

from typing import Any

from pytest_starcoder.report.sarif import location, render_log, sentence
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.text_report import notice
from pytest_starcoder.text.display import one_line

LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}


def review_to_sarif(review: Review) -> str:
    """Render a review as SARIF: one result per finding.

    Files that were not reviewed are notifications, so that no reader takes them for clean.
    """
    notifications = [
        {
            "level": "warning" if entry.hunks else "note",
            "message": {"text": one_line(f"{entry.path} was not reviewed: {entry.reason}", 500)},
        }
        for entry in review.unreviewed
    ]
    invocation = {
        "executionSuccessful": not review.away,
        "toolExecutionNotifications": notifications,
    }
    return render_log(
        "starcoder-review",
        {finding.rule: f"StarCoder review: {finding.rule}" for finding in review.findings},
        [_result(finding) for finding in review.findings],
        root="The root of the repository",
        properties={
            "model": review.model,
            "server": review.server,
            "notice": notice(review),
            "hunks": review.total,
            "hunksReviewed": review.reviewed,
        },
        invocations=[invocation],
    )


def _result(finding: Finding) -> dict[str, Any]:
    message = finding.message
    if finding.guess:
        message += f" {sentence(finding.guess)}"
    return {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": one_line(message, 1000)},
        "locations": [location(finding.path, finding.line)],
        "partialFingerprints": {"finding/v1": finding.fingerprint},
        "properties": {
            "label": str(finding.label),
            "by": finding.model,
            "placed": finding.placed,
        },
    }
