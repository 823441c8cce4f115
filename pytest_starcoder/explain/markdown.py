"""Explanations as GitHub's Markdown, for a pull request or a job summary."""

from __future__ import annotations

import shlex
from itertools import chain

from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.explanation import Explanation, Report, Statement
from pytest_starcoder.report.label import Label
from pytest_starcoder.report.markdown import code_block, code_span, escape
from pytest_starcoder.text.display import counted, one_line, printable

TITLES = {
    "seen": "Seen",
    "fact": "Seen",
    "broke": "Broke",
    "at": "At",
    "calls": "Calls",
    "suspect": "Suspect",
    "replay": "Run again",
    "fix": "Fix",
    "question": "Question",
    "extra": "Also",
    "why": "Why",
}
"""Title of each kind of statement."""

CODE_KINDS = ("at", "calls", "suspect", "fix")
"""Kinds of statements whose text is code."""

MAX_UNFOLDED_TESTS = 5
"""Maximum number of tests that are listed without folding."""


MAX_PIECE_LINES = 60
"""Maximum number of lines of a change that broke tests; the JSON report has all."""


def to_markdown(report: Report) -> str:
    """Render a report as Markdown."""
    total = len(report.explanations)
    failures = counted(report.failures, "failure")
    title = f"## StarCoder: {failures}, {counted(total, 'cause')}"
    if report.model:
        model = f"{report.model} on {report.server}"
        title += f" ({escape(model)})"
    lines = [title, ""]
    for number, explanation in enumerate(report.explanations, 1):
        lines += _cause(f"{number}/{total}", explanation)
    if report.rerun:
        tests = counted(report.rerun, "test")
        lines += [f"{tests} were run again, {report.seconds:.1f} s in all.", ""]
    for remark in (report.confinement, report.notice):
        if remark:
            lines += [escape(remark), ""]
    return "\n".join(lines)


def _cause(number: str, explanation: Explanation) -> list[str]:
    # Collection errors and crashes have no place in the project.
    place = explanation.phase
    if explanation.path:
        place = f"{explanation.path}:{explanation.line} in {explanation.function}"
    exception = escape(explanation.exception)
    tests = counted(len(explanation.nodeids), "test")
    heading = f"### {number} {code_span(place)} · {exception} · {tests}"
    lines = [heading, ""]
    lines += map(_statement, explanation.statements)
    lines += _changes(explanation.breakage)
    for fix in explanation.fixes.passing:
        lines += ["", *code_block(fix.diff, "diff")]
    if explanation.breakage.pieces or explanation.fixes.passing:
        lines.append("")
    if explanation.flaw:
        lines.append(f"- *guessed* **But** it {escape(explanation.flaw)}.")
    if explanation.fixes.note:
        lines.append(f"- **No fix**: {escape(explanation.fixes.note)}")
    if explanation.note:
        lines.append(f"- **No guess**: {escape(explanation.note)}")
    lines += ["", *_tests(explanation.nodeids)]
    command = _rerun_command(explanation)
    return [*lines, "", *code_block(command, "bash"), ""]


def _changes(breakage: Breakage) -> list[str]:
    """Show the changes that broke tests; each of several below its place."""
    pieces = [*breakage.pieces, *chain.from_iterable(breakage.either)]
    lines: list[str] = []
    for piece in pieces:
        if len(pieces) > 1:
            lines += ["", code_span(piece.place)]
        diff = "\n".join(piece.shown_diff(MAX_PIECE_LINES))
        lines += ["", *code_block(diff, "diff")]
    return lines


def _rerun_command(explanation: Explanation) -> str:
    words = ["pytest"]
    for nodeid in explanation.tests_to_rerun:
        words.append(shlex.quote(printable(nodeid)))
    return one_line(" ".join(words), 2000)


def _statement(statement: Statement) -> str:
    label = str(statement.label)
    if statement.label is Label.GUESSED:
        label += f" by {escape(statement.by)}, machine-generated and unchecked"
    text = escape(statement.text)
    if statement.kind in CODE_KINDS:
        text = code_span(statement.text)
    return f"- *{label}* **{TITLES[statement.kind]}**: {text}"


def _tests(nodeids: tuple[str, ...]) -> list[str]:
    """List the tests; a long list is folded."""
    tests = [f"- {code_span(nodeid)}" for nodeid in nodeids]
    if len(tests) <= MAX_UNFOLDED_TESTS:
        return tests
    summary = f"<details><summary>All {len(tests)} tests</summary>"
    return [summary, "", *tests, "", "</details>"]
