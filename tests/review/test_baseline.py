"""The baseline of accepted findings."""

from __future__ import annotations

from dataclasses import replace

from pytest_starcoder.review import baseline
from pytest_starcoder.review.finding import Finding, Severity

FINDING = Finding(
    "shop.py",
    6,
    Severity.ERROR,
    "Divides by zero.",
    source="return sum(xs) / len(xs)",
    definition="mean",
)


def test_add_findings() -> None:
    record = {"fingerprint": FINDING.fingerprint, "path": "shop.py", "source": FINDING.source}
    text, new = baseline.add_findings("", [record])
    assert new == 1
    assert text == (
        "# Findings of starcoder-review that were accepted. "
        "Remove a line, and its finding is shown again.\n"
        f"{FINDING.fingerprint} shop.py: return sum(xs) / len(xs)\n"
    )
    assert baseline.add_findings(text, [record]) == (text, 0)
    other = {
        "fingerprint": replace(FINDING, path="a.py").fingerprint,
        "path": "a.py",
        "source": "x",
    }
    both, new = baseline.add_findings(text, [record, other])
    assert new == 1
    assert both.splitlines()[1].endswith(" a.py: x")
    assert baseline.fingerprints(both) == {record["fingerprint"], other["fingerprint"]}
