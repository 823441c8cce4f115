"""The reports of background reviews."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.findings import CLEAN, FINDING, FOUND, A, B

from pytest_starcoder.review.background_worker import (
    BackgroundWorker,
    CommitReview,
)
from pytest_starcoder.review.commit_queue import (
    CommitQueue,
    WaitingCommit,
)
from pytest_starcoder.review.finding import Review
from pytest_starcoder.review.pending_reports import CommitReport, PendingReports, merge_records


@pytest.fixture
def queue(tmp_path: Path) -> CommitQueue:
    return CommitQueue(str(tmp_path))


@pytest.fixture
def reports(queue: CommitQueue) -> PendingReports:
    return PendingReports(queue)


def worker(queue: CommitQueue, review: Callable[[WaitingCommit], CommitReview]) -> BackgroundWorker:
    return BackgroundWorker(queue, PendingReports(queue), review)


def reviewing(review: Review, *, is_final: bool = True) -> Callable[[WaitingCommit], CommitReview]:
    return lambda waiting: CommitReview(waiting.hash[:3], review, is_final)


def shown(reports: PendingReports) -> list[CommitReport]:
    return list(reports.show_new())


def test_shown_once(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    queue.add(B, "", {})
    worker(queue, reviewing(FOUND)).run()
    assert [report.hash for report in reports.show_pushed({B})] == [B]
    assert [report.hash for report in shown(reports)] == [A]
    assert [report.hash for report in reports.show_pushed({A, B})] == [A]
    assert not list(reports.show_pushed({A, B}))
    assert reports.fingerprints() == {FINDING.fingerprint}


def test_old_reports_are_removed(
    queue: CommitQueue, reports: PendingReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_starcoder.review.pending_reports.MAX_SHOWN", 3)
    for number in range(5):
        queue.add(f"{number:040x}", "", {})
    worker(queue, reviewing(CLEAN)).run()
    assert len(shown(reports)) == 5
    assert len(list((Path(queue.folder) / "shown").iterdir())) == 3


def test_merged_records() -> None:
    import jsonschema

    from pytest_starcoder.review.json_report import review_schema, review_to_json

    records = [json.loads(review_to_json(review)) for review in (CLEAN, FOUND, FOUND)]
    merged = merge_records(records)
    jsonschema.validate(merged, review_schema())
    assert (merged["hunks"], len(merged["findings"]), merged["change"]) == (3, 2, "3 commits")
    assert merge_records(records[:1]) == records[0]
