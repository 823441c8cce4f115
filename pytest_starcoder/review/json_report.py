"""A review as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from pytest_starcoder.review.finding import Finding, Review
from pytest_starcoder.review.text_report import notice, summary

VERSION = 1
"""Version of the schema; raised when a reader of the old one would misread the new one."""


def review_to_json(review: Review) -> str:
    """Render a review as JSON that follows `review_schema()`."""
    record = {
        "version": VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "change": review.description,
        "model": review.model,
        "server": review.server,
        "notice": notice(review),
        "summary": summary(review),
        "files": review.files,
        "hunks": review.total,
        "hunks_reviewed": review.reviewed,
        "failed": review.failed,
        "away": review.away,
        "notes": list(review.notes),
        "findings": [_finding(finding) for finding in review.findings],
        "not_shown": review.more,
        "accepted": review.accepted,
        "ignored": review.ignored,
        "not_reviewed": [
            {"path": entry.path, "reason": entry.reason, "hunks": entry.hunks}
            for entry in review.unreviewed
        ],
        "model_calls": review.calls,
        "seconds": round(review.seconds, 3),
    }
    return json.dumps(record, indent=2, ensure_ascii=True) + "\n"


def review_schema() -> dict[str, Any]:
    """Read the JSON schema that is shipped beside this module."""
    text = (files(__package__) / "review.schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "path": finding.path,
        "line": finding.line,
        "severity": finding.severity.word,
        "message": finding.message,
        "rule": finding.rule,
        "label": str(finding.label),
        "by": finding.model,
        "guess": finding.guess,
        "source": finding.source,
        "definition": finding.definition,
        "placed": finding.placed,
        "fingerprint": finding.fingerprint,
    }
