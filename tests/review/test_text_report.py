"""A review in every format."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from sarif_pydantic import Sarif

from pytest_starcoder.cli.review import FORMATS, writer
from pytest_starcoder.review.change import Unreviewed
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.json_report import review_schema
from pytest_starcoder.review.text_report import summary, to_text

DIVIDES = Finding(
    "shop/pricing.py",
    14,
    Severity.ERROR,
    "an empty list divides by zero",
    model="starcoder2:7b",
    source="return sum(xs) / len(xs)",
    placed="only",
    definition="mean",
)
SECRET = Finding(
    "caf\u00e9, a:b.py",
    2,
    Severity.WARNING,
    "this looks like a secret",
    rule="secret",
    source="TOKEN = '[redacted]'",
    guess="It is printed.",
    model="starcoder2:7b",
)
FIRST = replace(
    DIVIDES, line=20, severity=Severity.INFO, message="maybe 100% wrong\x1b[31m", placed="first"
)
REVIEW = Review(
    "what is staged",
    (DIVIDES, SECRET, FIRST),
    total=5,
    reviewed=4,
    files=3,
    model="starcoder2:7b",
    server="Ollama",
    unreviewed=(
        Unreviewed("logo.png", "binary"),
        Unreviewed("slow.py", "The time limit was reached.", 1),
    ),
    seconds=6.13,
    failed=True,
)
CLEAN = Review(
    "what is staged", total=2, reviewed=2, files=1, model="m", server="Ollama", seconds=1.0
)
GONE = "Nothing answers at http://x."
AWAY = Review(
    "x",
    total=2,
    files=1,
    away=GONE,
    unreviewed=(Unreviewed("a.py", GONE, 1), Unreviewed("b.py", GONE, 1)),
)


CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string"},
            "check_name": {"type": "string"},
            "fingerprint": {"type": "string"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)"},
                    "lines": {"required": ["begin"]},
                },
            },
        },
    },
}
"""What GitLab's documentation asks of a code quality report."""


def test_text() -> None:
    assert to_text(REVIEW) == (
        "shop/pricing.py:14: error: an empty list divides by zero  (starcoder2:7b)\n"
        "    14 + return sum(xs) / len(xs)\n"
        "caf\u00e9, a:b.py:2: warning: this looks like a secret  (observed)\n"
        "     2 + TOKEN = '[redacted]'\n"
        "       also: It is printed.  (starcoder2:7b)\n"
        "shop/pricing.py:20: info: maybe 100% wrong  (starcoder2:7b)\n"
        "    20 + return sum(xs) / len(xs)    (placed on the first line of code; the comment "
        "may be about another line)\n"
        "4 of 5 hunks reviewed, 3 findings, 6.1 s (starcoder2:7b on Ollama). "
        "Not reviewed: logo.png (binary); slow.py (The time limit was reached).\n"
    )


@pytest.mark.parametrize(
    ("review", "sentence"),
    [
        (CLEAN, "2 of 2 hunks reviewed, no findings, 1.0 s (m on Ollama)."),
        (
            AWAY,
            "0 of 2 hunks reviewed, 0.0 s. Not reviewed: 2 hunks of 2 files (Nothing answers at "
            "http://x).",
        ),
        (Review("what is staged"), "Nothing to review: what is staged changes no file."),
        (
            replace(CLEAN, more=3, findings=(DIVIDES,), accepted=1, ignored=2),
            "2 of 2 hunks reviewed, 4 findings, 3 of them not shown, 1 accepted, 2 ignored, 1.0 "
            "s (m on Ollama).",
        ),
        (
            replace(
                CLEAN,
                reviewed=0,
                unreviewed=tuple(Unreviewed(f"{n}.png", "binary") for n in range(7)),
            ),
            "0 of 2 hunks reviewed, 1.0 s. Not reviewed: 0.png, 1.png, 2.png, 3.png, 4.png and 2 "
            "more (binary).",
        ),
        (
            replace(CLEAN, unreviewed=tuple(Unreviewed("a", f"reason {n}") for n in range(7))),
            "2 of 2 hunks reviewed, no findings, 1.0 s (m on Ollama). Not reviewed: a (reason "
            "0); a (reason 1); "
            "a (reason 2); a (reason 3); a (reason 4); and more for 2 other reasons.",
        ),
        (
            replace(CLEAN, unreviewed=(Unreviewed("a", "late", 2), Unreviewed("a", "late", 1))),
            "2 of 2 hunks reviewed, no findings, 1.0 s (m on Ollama). Not reviewed: 3 hunks of a "
            "(late).",
        ),
    ],
)
def test_summary(review: Review, sentence: str) -> None:
    assert summary(review) == sentence


@pytest.mark.parametrize("review", [AWAY, replace(CLEAN, reviewed=1)], ids=["away", "partly"])
@pytest.mark.parametrize("name", FORMATS)
def test_no_format_says_clean(name: str, review: Review) -> None:
    text = writer(name)(review).lower()
    assert "clean" not in text
    assert "no issues" not in text
    assert (
        name == "gitlab"
        or "0 of 2 hunks reviewed" in text
        or "1 of 2 hunks reviewed" in text
        or '"hunksreviewed"' in text
    )


@pytest.mark.parametrize("review", [REVIEW, CLEAN, AWAY, Review("x")])
def test_json_follows_its_schema(review: Review) -> None:
    record = json.loads(writer("json")(review))
    jsonschema.validate(record, review_schema())
    assert [
        (finding["path"], finding["line"], finding["severity"]) for finding in record["findings"]
    ] == [(finding.path, finding.line, finding.severity.word) for finding in review.findings]


@pytest.mark.parametrize("review", [REVIEW, CLEAN, AWAY])
def test_sarif_schema(review: Review) -> None:
    log = json.loads(writer("sarif")(review))
    Sarif.model_validate(log)
    [run] = log["runs"]
    assert len(run["results"]) == len(review.findings)
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(review.unreviewed)
    assert run["invocations"][0]["executionSuccessful"] is not bool(review.away)


def test_sarif_results() -> None:
    first, second, _ = json.loads(writer("sarif")(REVIEW))["runs"][0]["results"]
    place = first["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (
        "shop/pricing.py",
        14,
    )
    assert (first["level"], first["properties"]["label"]) == ("error", "guessed")
    assert (second["level"], second["properties"]["label"]) == ("warning", "observed")


def test_github() -> None:
    assert writer("github")(REVIEW).splitlines() == [
        "::error file=shop/pricing.py,line=14,title=StarCoder (starcoder2%3A7b)::an empty list "
        "divides by zero",
        "::warning file=caf\u00e9%2C a%3Ab.py,line=2,title=StarCoder (observed)::this looks like "
        "a secret",
        "::notice file=shop/pricing.py,line=20,title=StarCoder (starcoder2%3A7b)::maybe 100%25 "
        "wrong",
        "::warning title=StarCoder review::4 of 5 hunks reviewed, 3 findings, 6.1 s "
        "(starcoder2:7b on Ollama). "
        "Not reviewed: logo.png (binary); slow.py (The time limit was reached).",
    ]


def test_gitlab() -> None:
    entries = json.loads(writer("gitlab")(REVIEW))
    assert entries[0] == {
        "description": "an empty list divides by zero (starcoder2:7b)",
        "check_name": "starcoder-comment",
        "fingerprint": DIVIDES.fingerprint,
        "severity": "major",
        "location": {"path": "shop/pricing.py", "lines": {"begin": 14}},
    }
    assert [entry["severity"] for entry in entries] == ["major", "minor", "info"]
    assert len({entry["fingerprint"] for entry in entries}) == 3
    jsonschema.validate(entries, CODE_QUALITY)


def test_many_files_for_one_reason() -> None:
    many = tuple(Unreviewed(f"{number}.py", GONE, 1) for number in range(20_000))
    assert summary(replace(AWAY, unreviewed=many)) == (
        "0 of 2 hunks reviewed, 0.0 s. Not reviewed: 20000 hunks of 20000 files (Nothing answers "
        "at http://x)."
    )
