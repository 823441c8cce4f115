"""A review as GitLab's code quality report, a subset of Code Climate's format; values in, text out."""

from __future__ import annotations

import hashlib
import json

from pytest_starcoder.review.finding import Review, Severity
from pytest_starcoder.review.text_report import whose
from pytest_starcoder.text.display import one_line

LEVELS = {Severity.INFO: "info", Severity.WARNING: "minor", Severity.ERROR: "major"}


def to_code_quality(review: Review) -> str:
    """One entry a finding; fingerprints differ also where the same line stands twice."""
    entries = []
    seen: dict[str, int] = {}
    for found in review.findings:
        again = seen[found.fingerprint] = seen.get(found.fingerprint, 0) + 1
        key = (
            found.fingerprint
            if again == 1
            else hashlib.sha256(f"{found.fingerprint} {again}".encode()).hexdigest()[:32]
        )
        entries.append(
            {
                "description": one_line(f"{found.message} ({whose(found)})", 500),
                "check_name": f"starcoder-{found.rule}",
                "fingerprint": key,
                "severity": LEVELS[found.severity],
                "location": {"path": found.path, "lines": {"begin": found.line}},
            }
        )
    return json.dumps(entries, indent=2) + "\n"
