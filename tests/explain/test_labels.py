"""Labels of statements, which every report format shows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support.reports import EXPLANATION, REPORT

from pytest_starcoder.explain.explanation import Report, Statement
from pytest_starcoder.explain.github import workflow_commands
from pytest_starcoder.explain.json_report import to_json
from pytest_starcoder.explain.junit import add_explanations
from pytest_starcoder.explain.markdown import to_markdown
from pytest_starcoder.explain.sarif import to_sarif
from pytest_starcoder.report.label import Label

JUNIT = (
    '<testsuite><testcase classname="tests.test_shop" name="test_other">'
    '<failure message="x"/></testcase></testsuite>'
)

WRITERS: dict[str, Callable[[Report], str]] = {
    "json": lambda report: re.sub(r"\s+", " ", to_json(report)).replace("{", "\n{"),
    "sarif": lambda report: (
        re.sub(r"\s+", " ", to_sarif(report)).replace("{", "\n{").replace(". ", ".\n")
    ),
    "markdown": to_markdown,
    "junit": lambda report: add_explanations(JUNIT, report).replace("<property", "\n<property"),
    "github": lambda report: "\n".join(workflow_commands(report)).replace(". ", ".\n"),
}


def test_model_of_a_statement() -> None:
    with pytest.raises(ValueError, match=r"^why: a guess names its model, and nothing else does$"):
        Statement("why", "so it is", Label.GUESSED)
    with pytest.raises(ValueError, match=r"^seen: a guess names its model, and nothing else does$"):
        Statement("seen", "so it is", Label.OBSERVED, by="tiny")


def test_labels() -> None:
    labels = {statement.kind: statement.label for statement in EXPLANATION.statements}
    assert labels == {
        "seen": Label.OBSERVED,
        "fact": Label.OBSERVED,
        "broke": Label.CHECKED,
        "suspect": Label.OBSERVED,
        "at": Label.OBSERVED,
        "replay": Label.CHECKED,
        "extra": Label.OBSERVED,
        "why": Label.GUESSED,
    }


@pytest.mark.parametrize("name", WRITERS)
def test_guess(name: str) -> None:
    lines = [line for line in WRITERS[name](REPORT).splitlines() if "GUESSTEXT" in line]
    assert lines
    for line in lines:
        assert re.search("guess", line, re.IGNORECASE), line
        assert "tiny:1b" in line.replace("\\", "").replace("&#58;", ":"), line


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("SEENTEXT", "observed"),
        ("FACTTEXT", "observed"),
        ("REPLAYTEXT", "checked"),
    ],
)
def test_facts(name: str, text: str, label: str) -> None:
    lines = [line for line in WRITERS[name](REPORT).splitlines() if text in line]
    assert lines
    for line in lines:
        assert label in line.lower(), line
        assert "guess" not in line.lower(), line


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"json"}))
@pytest.mark.parametrize("text", ["undoing either", "STATETEXT"])
def test_change(name: str, text: str) -> None:
    lines = [line for line in WRITERS[name](REPORT).splitlines() if text in line]
    assert lines
    for line in lines:
        assert "checked" in line.lower(), line


@pytest.mark.parametrize("name", WRITERS)
def test_notice(name: str) -> None:
    assert "machine-generated" in WRITERS[name](REPORT).replace("\\", "")
