"""A report as SARIF 2.1.0, which code hosts and editors show beside the code; values in, text out."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import version
from typing import Any

from pytest_starcoder.explain.explanation import Explanation, Report
from pytest_starcoder.explain.json_report import notice
from pytest_starcoder.report.label import Label
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.text_report import notice as review_notice
from pytest_starcoder.runner.fixes import Fix
from pytest_starcoder.text.display import one_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(report: Report) -> str:
    """One result a cause, at the line that failed; suspects are its related locations.

    Paths are relative to the root, which a reader knows as SRCROOT.
    """
    rules = dict.fromkeys(told.exception or "failure" for told in report.explanations)
    driver = {
        "name": "pytest-starcoder",
        "version": version("pytest-starcoder"),
        "rules": [
            {"id": rule, "shortDescription": {"text": f"A test fails with {rule}"}}
            for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {
            "SRCROOT": {"description": {"text": "The root of the tests' project"}}
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(told) for told in report.explanations],
        "properties": {
            "model": report.model,
            "server": report.server,
            "notice": notice(report),
            "confinement": report.confinement,
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}


def review_to_sarif(review: Review) -> str:
    """One result a finding; what was not reviewed is a notification, so that no reader takes it for clean."""
    rules = dict.fromkeys(found.rule for found in review.findings)
    driver = {
        "name": "starcoder-review",
        "version": version("pytest-starcoder"),
        "rules": [
            {"id": rule, "shortDescription": {"text": f"StarCoder review: {rule}"}}
            for rule in rules
        ],
    }
    missing = [
        {
            "level": "warning" if left.hunks else "note",
            "message": {"text": one_line(f"{left.path} was not reviewed: {left.reason}", 500)},
        }
        for left in review.unreviewed
    ]
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the repository"}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {"executionSuccessful": not review.away, "toolExecutionNotifications": missing}
        ],
        "results": [_finding(found) for found in review.findings],
        "properties": {
            "model": review.model,
            "server": review.server,
            "notice": review_notice(review),
            "hunks": review.total,
            "hunksReviewed": review.reviewed,
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _finding(found: Finding) -> dict[str, Any]:
    told = f"{found.message} {_sentence(found.guess)}" if found.guess else found.message
    return {
        "ruleId": found.rule,
        "level": LEVELS[found.severity],
        "message": {"text": one_line(told, 1000)},
        "locations": [_location(found.path, found.line)],
        "partialFingerprints": {"finding/v1": found.fingerprint},
        "properties": {"label": str(found.label), "by": found.model, "placed": found.placed},
    }


def _result(told: Explanation) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": told.exception or "failure",
        "level": "error",
        "message": {"text": message_of(told)},
        "partialFingerprints": {"cause/v1": _fingerprint(told)},
        "properties": {
            "tests": list(told.nodeids),
            "statements": [
                {
                    "kind": said.kind,
                    "label": str(said.label),
                    "text": said.text,
                    **({"by": said.by} if said.by else {}),
                }
                for said in told.statements
            ],
        },
    }
    if told.path and told.line > 0:
        result["locations"] = [_location(told.path, told.line)]
    if told.fixes.found:
        result["fixes"] = [_fix(fix) for fix in told.fixes.found]
    if told.suspects:
        result["relatedLocations"] = [
            {
                "id": number,
                **_location(suspect.path, suspect.line),
                "message": {"text": f"suspect: {suspect.source}"},
            }
            for number, suspect in enumerate(told.suspects, 1)
        ]
    return result


def message_of(told: Explanation) -> str:
    """What was observed, then what was checked, then the guess and whose it is, on one line."""
    said = []
    for statement in told.statements:
        if statement.kind in ("seen", "fact", "replay", "fix", "question", "extra"):
            said.append(f"{str(statement.label).capitalize()}: {_sentence(statement.text)}")
        elif statement.label is Label.GUESSED:
            said.append(
                f"Guessed by {statement.by}, machine-generated and unchecked: {_sentence(statement.text)}"
            )
    return one_line(" ".join(said), 4000)


def _sentence(text: str) -> str:
    line = one_line(text, 1000)
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _fix(fix: Fix) -> dict[str, Any]:
    """Its diff as replacements of whole lines."""
    changes: list[dict[str, Any]] = []
    parts = re.split(r"(?m)^(?=--- a/)", fix.diff)[1:]
    named = [part.partition("\n")[0].removeprefix("--- a/") for part in parts]
    edited = list(dict.fromkeys(edit.path for edit in fix.edits))
    # The diff of a file outside the root has paths relative to an outer folder.
    for path, part in zip(edited if len(edited) == len(named) else named, parts, strict=True):
        _, *hunks = re.split(r"(?m)^(?=@@ )", part)
        artifact = {"uri": _uri(path), "uriBaseId": "SRCROOT"}
        changes.append(
            {"artifactLocation": artifact, "replacements": [_replacement(hunk) for hunk in hunks]}
        )
    return {"description": {"text": fix.verdict}, "artifactChanges": changes}


def _replacement(hunk: str) -> dict[str, Any]:
    head, *lines = hunk.removesuffix("\n").split("\n")
    first = int(head.removeprefix("@@ -").partition(" ")[0].partition(",")[0])
    before = [line[1:] for line in lines if line[:1] in (" ", "-")]
    after = [line[1:] for line in lines if line[:1] in (" ", "+")]
    last = first + len(before) - 1
    region = {
        "startLine": first,
        "startColumn": 1,
        "endLine": last,
        "endColumn": len(before[-1]) + 1,
    }
    return {"deletedRegion": region, "insertedContent": {"text": "\n".join(after)}}


def _location(path: str, line: int) -> dict[str, Any]:
    artifact = {"uri": _uri(path), "uriBaseId": "SRCROOT"}
    return {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(line, 1)}}
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.encode("utf-8", "backslashreplace"))


def _fingerprint(told: Explanation) -> str:
    """The same wherever the line has moved and whatever the values are."""
    seen = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", told.seen)
    key = "\0".join((told.exception, told.path, told.function, seen))
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:32]
