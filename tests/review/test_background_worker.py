"""The worker that empties the queue of commits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.findings import CLEAN, FOUND, A, B, C

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review import background_worker as worker_module
from pytest_starcoder.review.background_worker import (
    MAX_ATTEMPTS,
    RETRY_NOTE,
    BackgroundWorker,
    CommitReview,
    Replaced,
)
from pytest_starcoder.review.commit_queue import (
    CommitQueue,
    Lock,
    WaitingCommit,
)
from pytest_starcoder.review.finding import Review
from pytest_starcoder.review.pending_reports import CommitReport, PendingReports

AWAY = Review("a title", total=1, files=1, away="Nothing answers.")


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


def raising(error: BaseException) -> Callable[[WaitingCommit], CommitReview]:
    def review(_waiting: WaitingCommit) -> CommitReview:
        raise error

    return review


def shown(reports: PendingReports) -> list[CommitReport]:
    return list(reports.show_new())


def test_reports(queue: CommitQueue, reports: PendingReports) -> None:
    for commit in (A, B, C):
        queue.add(commit, "", {})
    worker(queue, reviewing(FOUND)).run()
    assert [report.hash for report in shown(reports)] == [A, B, C]
    assert not queue.commits()
    assert not shown(reports)


def test_commit_during_review(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})

    def review(waiting: WaitingCommit) -> CommitReview:
        if waiting.hash == A:
            queue.add(B, "", {})
        return CommitReview("title", CLEAN)

    worker(queue, review).run()
    assert [report.hash for report in shown(reports)] == [A, B]


def test_commit_at_release(queue: CommitQueue, reports: PendingReports) -> None:
    """A hook that finds the lock taken starts no worker: the running one checks once more."""
    queue.add(A, "", {})
    release = queue.lock.release

    def late() -> None:
        queue.add(B, "", {})
        queue.lock.release = release  # type: ignore[method-assign]
        release()

    queue.lock.release = late  # type: ignore[method-assign]
    worker(queue, reviewing(CLEAN)).run()
    assert [report.hash for report in shown(reports)] == [A, B]


def test_second_worker(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    other = Lock(queue.lock.path)
    assert other.take()
    worker(queue, reviewing(CLEAN)).run()
    assert not reports.has_new()
    other.release()


def test_many_workers_review_once(tmp_path: Path) -> None:
    count, reviewed = 8, []

    def review(waiting: WaitingCommit) -> CommitReview:
        reviewed.append(waiting.hash)
        time.sleep(0.01)
        return CommitReview("title", CLEAN)

    for number in range(count):
        CommitQueue(str(tmp_path)).add(f"{number:040x}", "", {})
    threads = [
        threading.Thread(target=worker(CommitQueue(str(tmp_path)), review).run) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reviewed) == [f"{number:040x}" for number in range(count)]


def test_replaced_commit(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    worker(queue, raising(Replaced())).run()
    assert not queue.commits()
    assert not reports.has_new()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConfigError("No such key.", "Remove it."), "No such key. Remove it"),
        (ZeroDivisionError("by zero"), "the review itself failed: ZeroDivisionError: by zero"),
    ],
    ids=["setting", "crash"],
)
def test_failed_review(
    queue: CommitQueue, reports: PendingReports, error: Exception, reason: str
) -> None:
    queue.add(A, "", {})
    queue.add(B, "", {})
    worker(queue, raising(error)).run()
    first, second = shown(reports)
    assert (first.hash, second.hash) == (A, B)
    assert first.lines() == [
        f"Reviewed in the background: {A[:10]}",
        f"0 of 0 hunks reviewed, 0.0 s. Not reviewed: the whole commit ({reason}).",
    ]
    assert first.is_given_up
    assert not queue.commits()


def test_unavailable_model(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    with pytest.raises(KeyboardInterrupt):
        worker(queue, raising(KeyboardInterrupt())).run()
    for _ in range(2):
        worker(queue, reviewing(AWAY, is_final=False)).run()
    (report,) = shown(reports)
    assert report.lines()[-2:] == [RETRY_NOTE, report.summary]
    assert not report.is_given_up
    worker(queue, reviewing(FOUND)).run()
    (report,) = shown(reports)
    assert report.findings[0]["text"].startswith("shop.py:6: error: Divides by zero.")
    assert not queue.commits()


def test_model_never_answers(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    for _ in range(MAX_ATTEMPTS + 1):
        worker(queue, reviewing(AWAY, is_final=False)).run()
    (report,) = shown(reports)
    assert report.summary.endswith(
        "Not reviewed: the whole commit (tried 20 times: Nothing answers)."
    )
    assert report.is_given_up


def test_crashing_commit_comes_last(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    queue.add(B, "", {})

    def review(waiting: WaitingCommit) -> CommitReview:
        if waiting.hash == A:
            raise KeyboardInterrupt  # as if killed: nothing is written afterwards
        return CommitReview("title", CLEAN)

    with pytest.raises(KeyboardInterrupt):
        worker(queue, review).run()
    with pytest.raises(KeyboardInterrupt):
        worker(queue, review).run()
    assert [report.hash for report in shown(reports)] == [B]
    for _ in range(MAX_ATTEMPTS - 2):
        with pytest.raises(KeyboardInterrupt):
            worker(queue, review).run()
    worker(queue, review).run()
    (report,) = shown(reports)
    assert report.summary.endswith(
        "Not reviewed: the whole commit (tried 20 times: its review never finished)."
    )


def test_too_many_commits(
    queue: CommitQueue, reports: PendingReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAITING", 2)
    for commit in (A, B, C):
        queue.add(commit, "", {})
    worker(queue, reviewing(CLEAN)).run()
    first, *later = shown(reports)
    assert first.hash == A
    assert first.summary.endswith("Not reviewed: the whole commit (more than 2 commits waited).")
    assert [report.hash for report in later] == [B, C]
