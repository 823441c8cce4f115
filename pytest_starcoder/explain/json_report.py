"""Explanations as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.explanation import Explanation, Report, Statement, Suspect
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.text.node_ids import without_group

VERSION = 1
"""Version of the schema; incremented when a reader of the old one would misread the new one."""


def to_json(report: Report) -> str:
    """Render a report as JSON that follows `schema()`."""
    record = {
        "version": VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "model": report.model,
        "server": report.server,
        "notice": report.notice,
        "confinement": report.confinement,
        "failures": report.failures,
        "model_calls": report.calls,
        "tests_run_again": report.rerun,
        "seconds": round(report.seconds, 3),
        "causes": [_cause(explanation) for explanation in report.explanations],
    }
    # ASCII can be decoded everywhere, and lone surrogates can be written.
    return json.dumps(record, indent=2, ensure_ascii=True) + "\n"


def schema() -> dict[str, Any]:
    """Read the JSON schema that is shipped beside this module."""
    text = (files(__package__) / "explanations.schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _cause(explanation: Explanation) -> dict[str, Any]:
    fixes = explanation.fixes
    return {
        "exception": explanation.exception,
        "phase": explanation.phase,
        "path": explanation.path,
        "line": explanation.line,
        "function": explanation.function,
        "tests": list(explanation.nodeids),
        "rerun": [without_group(nodeid) for nodeid in explanation.tests_to_rerun],
        "statements": [_statement(statement) for statement in explanation.statements],
        "suspects": [_suspect(suspect) for suspect in explanation.suspects],
        "broke": _broke(explanation.breakage),
        "fixes": [_fix(fix) for fix in fixes.passing],
        "question": fixes.question,
        "fixes_note": fixes.note,
        "changes_tried": fixes.tried,
        "search_seconds": round(fixes.seconds, 3),
        "note": explanation.note,
        "flaw": explanation.flaw,
        "not_in_the_evidence": list(explanation.unsupported),
        "truncated": explanation.truncated,
        "remembered": explanation.from_cache,
    }


def _statement(statement: Statement) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": statement.kind,
        "label": str(statement.label),
        "text": statement.text,
    }
    if statement.by:
        record["by"] = statement.by
    if statement.path:
        record["path"] = statement.path
        record["line"] = statement.line
    return record


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        "path": suspect.path,
        "line": suspect.line,
        "score": suspect.score,
        "source": suspect.source,
        "reasons": list(suspect.reasons),
    }


def _broke(breakage: Breakage) -> dict[str, Any]:
    return {
        "pieces": [_piece(piece) for piece in breakage.pieces],
        "either": [[_piece(piece) for piece in pieces] for pieces in breakage.either],
        "since": breakage.since,
        "verdict": breakage.verdict if breakage.pieces else "",
        "context": breakage.context if breakage.pieces else "",
        "note": breakage.note,
        "failing": list(breakage.failing),
        "still_failing": list(breakage.still),
        "passing": list(breakage.passing),
        "needing": list(breakage.needing),
        "changes": breakage.total,
        "left_out": list(breakage.left_out),
        "only_test": breakage.only_test,
        "after": [without_group(nodeid) for nodeid in breakage.after],
        "state": breakage.state,
        "runs": breakage.tried,
        "seconds": round(breakage.seconds, 3),
        "confinement": breakage.level,
    }


def _piece(piece: BrokenBy) -> dict[str, Any]:
    return {
        "path": piece.path,
        "line": piece.line,
        "last": piece.last,
        "diff": piece.diff,
        "commit": piece.commit,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "path": fix.path,
        "line": fix.line,
        "before": fix.before,
        "after": fix.after,
        "diff": fix.diff,
        "checked": fix.checked,
        "verdict": fix.verdict,
        "failing": list(fix.failing),
        "passing": list(fix.passing),
        "still_failing": list(fix.still),
        "confinement": fix.level,
        "model": fix.model,
    }
