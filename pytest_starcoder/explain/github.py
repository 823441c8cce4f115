"""Explanations as annotations of a GitHub Actions run."""

from __future__ import annotations

import posixpath

from pytest_starcoder.explain.explanation import Explanation, Report
from pytest_starcoder.explain.sarif import message_of
from pytest_starcoder.report.github import MAX_ANNOTATIONS, escape_message, escape_property
from pytest_starcoder.text.display import counted, one_line


def workflow_commands(report: Report, prefix: str = "") -> list[str]:
    """Return one command per cause.

    `prefix` is the path of the root within its repository, with a final slash.
    """
    commands = []
    for explanation in report.explanations[:MAX_ANNOTATIONS]:
        place = _place(explanation)
        title = explanation.exception or "failure"
        failed = explanation.path, explanation.line
        if explanation.path and place != failed:
            title += f" at {explanation.path}:{explanation.line}"
        title = one_line(f"{title}, {counted(len(explanation.nodeids), 'test')}")
        properties = f"title={escape_property(title)}"
        path, line = place
        if path and line > 0:
            # The path may lead out of the root with `..`.
            path = posixpath.normpath(prefix + path)
            properties = f"file={escape_property(path)},line={line},{properties}"
        commands.append(f"::error {properties}::{escape_message(message_of(explanation))}")
    return commands


def _place(explanation: Explanation) -> tuple[str, int]:
    """Return the line to annotate: the change that broke the tests, or else where they fail."""
    for piece in explanation.breakage.pieces:
        # Pull requests show annotations on changed lines only, and none on deleted files.
        if not (piece.whole and piece.is_deletion):
            return piece.path, piece.shown_line
    return explanation.path, explanation.line
