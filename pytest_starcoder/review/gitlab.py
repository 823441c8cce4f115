"""A review as GitLab's code quality report, a subset of the format of Code Climate."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from pytest_starcoder.review.finding import Review, Severity
from pytest_starcoder.text.display import one_line

LEVELS = {Severity.INFO: "info", Severity.WARNING: "minor", Severity.ERROR: "major"}


def to_code_quality(review: Review) -> str:
    """Return one entry per finding."""
    entries = []
    repetitions = Counter[str]()
    for finding in review.findings:
        fingerprint = finding.fingerprint
        repetitions[fingerprint] += 1
        if repetitions[fingerprint] > 1:  # GitLab shows one entry per fingerprint
            key = f"{fingerprint} {repetitions[fingerprint]}"
            fingerprint = hashlib.sha256(key.encode()).hexdigest()[:32]
        entry = {
            "description": one_line(f"{finding.message} ({finding.author})", 500),
            "check_name": f"starcoder-{finding.rule}",
            "fingerprint": fingerprint,
            "severity": LEVELS[finding.severity],
            "location": {"path": finding.path, "lines": {"begin": finding.line}},
        }
        entries.append(entry)
    return json.dumps(entries, indent=2) + "\n"
