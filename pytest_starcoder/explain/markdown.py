"""A report as Markdown, for a pull request or a step's summary; values in, text out.

Whatever a test or a model said is shown as it is: nothing of it becomes a
heading, a link, an image, HTML, a mention or a reference to an issue.
"""

from __future__ import annotations

import re
import shlex

from pytest_starcoder.explain.explanation import Explanation, Report, Statement
from pytest_starcoder.explain.json_report import notice
from pytest_starcoder.report.label import Label
from pytest_starcoder.text.display import counted, one_line, printable

NAMES = {
    "seen": "Seen",
    "fact": "Seen",
    "at": "At",
    "calls": "Calls",
    "suspect": "Suspect",
    "replay": "Run again",
    "fix": "Fix",
    "question": "Question",
    "extra": "Also",
    "why": "Why",
}

SHOWN = 5
"""Node ids that are shown at once; more are folded."""


def to_markdown(report: Report) -> str:
    """The report as GitHub's Markdown."""
    whose = f" ({escaped(report.model)} on {escaped(report.server)})" if report.model else ""
    total = len(report.explanations)
    lines = [
        f"## StarCoder: {counted(report.failures, 'failure')}, {counted(total, 'cause')}{whose}",
        "",
    ]
    for number, told in enumerate(report.explanations, 1):
        lines += _cause(number, total, told)
    if report.rerun:
        lines += [
            f"{counted(report.rerun, 'test')} were run again, {report.seconds:.1f} s in all.",
            "",
        ]
    if report.confinement:
        lines += [escaped(report.confinement), ""]
    if notice(report):
        lines += [escaped(notice(report)), ""]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """`text` on one line, with everything escaped that Markdown, HTML or GitHub would read as more than text."""
    told = _MARKUP.sub(lambda match: _ENTITIES.get(match[0], "\\" + match[0]), one_line(text, 2000))
    return re.sub(r"(?i)\b(GH)\\-(?=\d)", r"\1&#45;", told).replace("www.", "www&#46;")


_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&$:-])")

_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "#": "&#35;", ":": "&#58;"}


def _cause(number: int, total: int, told: Explanation) -> list[str]:
    where = f"{told.path}:{told.line} in {told.function}" if told.path else told.phase
    lines = [
        f"### {number}/{total} {_code(where)} · {escaped(told.exception)} · {counted(len(told.nodeids), 'test')}",
        "",
        *(_statement(statement) for statement in told.statements),
    ]
    for fix in told.fixes.found:
        lines += ["", *_fenced(fix.diff, "diff")]
    if told.fixes.found:
        lines.append("")
    if told.flaw:
        lines.append(f"- *guessed* **But** it {escaped(told.flaw)}.")
    if told.note:
        lines.append(f"- **No guess**: {escaped(told.note)}")
    tests = [f"- {_code(nodeid)}" for nodeid in told.nodeids]
    if len(tests) > SHOWN:
        lines += [
            "",
            f"<details><summary>All {len(tests)} tests</summary>",
            "",
            *tests,
            "",
            "</details>",
        ]
    else:
        lines += ["", *tests]
    command = "pytest " + " ".join(
        shlex.quote(printable(nodeid)) for nodeid in told.order or told.nodeids[:1]
    )
    return [*lines, "", *_fenced(one_line(command, 2000), "bash"), ""]


def _fenced(text: str, language: str) -> list[str]:
    fence = "`" * max(3, _longest(text) + 1)
    return [f"{fence}{language}", printable(text, tabs=True).rstrip("\n"), fence]


def _statement(statement: Statement) -> str:
    by = (
        f" by {escaped(statement.by)}, machine-generated and unchecked"
        if statement.label is Label.GUESSED
        else ""
    )
    text = (
        _code(statement.text)
        if statement.kind in ("at", "calls", "suspect", "fix")
        else escaped(statement.text)
    )
    return f"- *{statement.label}{by}* **{NAMES[statement.kind]}**: {text}"


def _code(text: str) -> str:
    """`text` as a code span, however many backticks it has."""
    line = one_line(text, 500)
    ticks = "`" * (_longest(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
