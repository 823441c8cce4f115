"""Explanations as SARIF."""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from typing import Any

from pytest_starcoder.explain.explanation import Explanation, Report, Statement
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.report.label import Label
from pytest_starcoder.report.sarif import artifact, location, render_log, sentence
from pytest_starcoder.text.display import one_line

MESSAGE_KINDS = ("seen", "fact", "broke", "replay", "fix", "question", "extra")
"""Kinds of statements in the message of a result; viewers show other kinds at their line."""


MAX_PIECE_LINES = 20
"""Maximum number of lines of a change that broke tests; the JSON report has all."""


def to_sarif(report: Report) -> str:
    """Render a report as SARIF: one result per cause, at the line that failed."""
    names = [explanation.exception or "failure" for explanation in report.explanations]
    return render_log(
        "pytest-starcoder",
        {name: f"A test fails with {name}" for name in names},
        [_result(explanation) for explanation in report.explanations],
        root="The root of the tests' project",
        properties={
            "model": report.model,
            "server": report.server,
            "notice": report.notice,
            "confinement": report.confinement,
        },
    )


def message_of(explanation: Explanation) -> str:
    """Return the observed and checked statements and the guess on one line."""
    sentences = []
    for statement in explanation.statements:
        if statement.kind in MESSAGE_KINDS:
            label = str(statement.label).capitalize()
        elif statement.label is Label.GUESSED:
            label = f"Guessed by {statement.by}, machine-generated and unchecked"
        else:
            continue
        # Some viewers show only this text, so every sentence has its label.
        sentences.append(f"{label}: {sentence(statement.text)}")
    return one_line(" ".join(sentences), 4000)


def _result(explanation: Explanation) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": explanation.exception or "failure",
        "level": "error",
        "message": {"text": message_of(explanation)},
        "partialFingerprints": {"cause/v1": _fingerprint(explanation)},
        "properties": {
            "tests": list(explanation.nodeids),
            "statements": [_statement(statement) for statement in explanation.statements],
        },
    }
    if explanation.path and explanation.line > 0:
        result["locations"] = [location(explanation.path, explanation.line)]
    if explanation.fixes.passing:
        result["fixes"] = [_fix(fix) for fix in explanation.fixes.passing]
    related: list[dict[str, Any]] = []
    breakage = explanation.breakage
    for piece in (*breakage.pieces, *chain.from_iterable(breakage.either)):
        diff = "\n".join(piece.shown_diff(MAX_PIECE_LINES))
        place = location(piece.path, piece.shown_line)
        related.append({**place, "message": {"text": f"broken by:\n{diff}"}})
    for suspect in explanation.suspects:
        message = {"text": f"suspect: {suspect.source}"}
        related.append({**location(suspect.path, suspect.line), "message": message})
    for number, place in enumerate(related, 1):
        place["id"] = number
    if related:
        result["relatedLocations"] = related
    return result


def _statement(statement: Statement) -> dict[str, str]:
    record = {
        "kind": statement.kind,
        "label": str(statement.label),
        "text": statement.text,
    }
    if statement.by:
        record["by"] = statement.by
    return record


def _fix(fix: Fix) -> dict[str, Any]:
    files = re.split(r"(?m)^(?=--- a/)", fix.diff)[1:]
    paths = list(dict.fromkeys(edit.path for edit in fix.edits))
    if len(paths) != len(files):
        paths = [file.partition("\n")[0].removeprefix("--- a/") for file in files]
    # Paths in the diff are only a fallback: they are wrong for files outside the root.
    changes = []
    for path, file in zip(paths, files, strict=True):
        _, *hunks = re.split(r"(?m)^(?=@@ )", file)
        replacements = [_replacement(hunk) for hunk in hunks]
        changes.append({"artifactLocation": artifact(path), "replacements": replacements})
    return {"description": {"text": fix.verdict}, "artifactChanges": changes}


def _replacement(hunk: str) -> dict[str, Any]:
    """Return a hunk of a unified diff as the replacement of whole lines."""
    header, *lines = hunk.removesuffix("\n").split("\n")
    # The header is `@@ -first,count +first,count @@`, in which a count of 1 is left out.
    start, _, _ = header.removeprefix("@@ -").partition(" ")
    first = int(start.partition(",")[0])
    before = [line[1:] for line in lines if line.startswith((" ", "-"))]
    after = [line[1:] for line in lines if line.startswith((" ", "+"))]
    region = {
        "startLine": first,
        "startColumn": 1,
        "endLine": first + len(before) - 1,
        "endColumn": len(before[-1]) + 1,
    }
    return {"deletedRegion": region, "insertedContent": {"text": "\n".join(after)}}


def _fingerprint(explanation: Explanation) -> str:
    """Return a hash of the cause that stays the same when lines move and values change."""
    # Code hosts track results by this hash across commits.
    seen = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", explanation.seen)
    key = "\0".join((explanation.exception, explanation.path, explanation.function, seen))
    digest = hashlib.sha256(key.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:32]
