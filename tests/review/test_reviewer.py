"""The review that is composed of observed findings and a model's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.findings import CHANGE, SETTINGS, remark, shown
from support.servers import FakeOllama

from pytest_starcoder.model.backends.choice import Choice
from pytest_starcoder.review import reviewer
from pytest_starcoder.review.change import Unreviewed
from pytest_starcoder.review.finding import Finding, Severity
from pytest_starcoder.review.model_review import ModelReview
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.reviewer import compose_review


def test_order_and_maximum() -> None:
    findings = [remark(n, Severity.WARNING, f"wrong {n}") for n in range(1, 7)] + [
        remark(9, Severity.ERROR, "worst")
    ]
    review = shown(findings)
    assert [finding.line for finding in review.findings] == [9, 1, 2, 3, 4]
    assert (review.more, review.failed) == (2, True)


def test_reason_for_another_model(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, backend="ollama", host=ollama_double.url, cache="off")
    choice = Choice(settings, "", "Nothing answers at http://127.0.0.1:11434.")
    monkeypatch.setattr(reviewer, "choose", lambda _settings: choice)
    result = reviewer._review_with_model(ReviewInput(CHANGE, settings), 60, lambda _: None)
    assert result.notes == ("Ollama was not used. Nothing answers at http://127.0.0.1:11434.",)


def test_repeated_words() -> None:
    assert (
        len(shown([remark(5), remark(6, message="wrong!"), remark(7, path="b.py")]).findings) == 2
    )


def test_guess_on_observed_line() -> None:
    [finding] = shown(
        [remark(6, message="Divides.")],
        [Finding("shop.py", 6, Severity.ERROR, "seen", rule="identity")],
    ).findings
    assert (finding.message, finding.guess, finding.model, finding.label) == (
        "seen",
        "Divides.",
        "m",
        "observed",
    )


@pytest.mark.parametrize(
    ("fail_on", "severity", "failed"),
    [
        ("warning", Severity.WARNING, True),
        ("warning", Severity.INFO, False),
        ("error", Severity.WARNING, False),
        ("error", Severity.ERROR, True),
        ("info", Severity.INFO, True),
        ("never", Severity.ERROR, False),
    ],
)
def test_fail_on(fail_on: str, severity: Severity, failed: bool) -> None:
    assert shown([remark(severity=severity)], review_fail_on=fail_on).failed is failed


def test_observed_without_model() -> None:
    observed = [Finding("shop.py", 6, Severity.ERROR, "seen", rule="identity")]
    review = compose_review(ReviewInput(CHANGE, SETTINGS, tuple(observed)), ModelReview())
    assert (len(review.findings), review.failed) == (1, True)


def test_unreached_hunks_are_missed() -> None:
    missed = Unreviewed("big.py", "The time limit was reached.", 3, is_missed=True)
    change = replace(CHANGE, unreviewed=(missed,))
    review = shown([], change=change)
    assert (review.has_missed, review.total, review.unreviewed) == (True, 4, (missed,))


def test_accepted_finding() -> None:
    review = shown([remark(5), remark(6, message="other")], accepted={remark(6).fingerprint})
    assert ([finding.line for finding in review.findings], review.accepted) == ([5], 1)


def test_fingerprint() -> None:
    assert replace(remark(6), line=60, message="else").fingerprint == remark(6).fingerprint
    assert replace(remark(6), source="other").fingerprint != remark(6).fingerprint


def test_min_severity() -> None:
    assert not shown([remark(severity=Severity.INFO)], review_min_severity="warning").findings


def test_unreviewed_hunks() -> None:
    change = replace(
        CHANGE,
        unreviewed=(Unreviewed("a.py", "only deletes lines", 1), Unreviewed("b.png", "binary")),
    )
    review = shown([], change=change)
    assert (review.total, review.reviewed) == (2, 1)
    assert [left.path for left in review.unreviewed] == ["a.py", "b.png"]
