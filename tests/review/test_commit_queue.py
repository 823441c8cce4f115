"""The queue of commits that wait for a review, its lock, and the worker that empties it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review import background_worker as worker_module
from pytest_starcoder.review import commit_queue as queue_module
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
    shared_folder,
    write_atomically,
)
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.pending_reports import CommitReport, PendingReports, merge_records

A, B, C = "a" * 40, "b" * 40, "c" * 40
FINDING = Finding(
    "shop.py",
    6,
    Severity.ERROR,
    "Divides by zero.",
    source="return sum(xs) / len(xs)",
    definition="mean",
    model="m",
)
CLEAN = Review("a title", total=1, reviewed=1, files=1, model="m", server="Ollama")
FOUND = Review("a title", (FINDING,), total=1, reviewed=1, files=1, model="m", server="Ollama")
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


# --- the queue ------------------------------------------------------------------------------


def test_commits_wait_in_their_order(queue: CommitQueue) -> None:
    for commit in (B, A, C, A):
        queue.add(commit, "/here", {"model": "m"})
    assert [waiting.hash for waiting in queue.commits()] == [B, A, C]
    first = queue.commits()[0]
    assert (first.folder, first.options, first.attempts) == ("/here", {"model": "m"}, 0)
    queue.remove(first)
    queue.remove(first)
    assert queue.hashes() == {A, C}


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '{"folder": "x", "options": {}, "attempts": null}']
)
def test_a_damaged_entry_keeps_its_commit(queue: CommitQueue, content: str) -> None:
    queue.add(A, "/here", {})
    (path,) = (Path(queue.folder) / "queue").iterdir()
    path.write_text(content)
    (waiting,) = queue.commits()
    assert (waiting.hash, waiting.folder) == (A, "")


def test_files_are_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_atomically(str(path), "one")
    write_atomically(str(path), "two")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match=r"a\.json"):
        write_atomically(str(tmp_path / "a.json"), "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_worktrees_share_a_folder(tmp_path: Path) -> None:
    worktree = tmp_path / "worktrees" / "w"
    worktree.mkdir(parents=True)
    (worktree / "commondir").write_text("../..\n")
    assert shared_folder(str(worktree)) == str(tmp_path)
    assert shared_folder(str(tmp_path)) == str(tmp_path)


# --- its lock -------------------------------------------------------------------------------


def test_one_holder_at_a_time(queue: CommitQueue) -> None:
    other = Lock(queue.lock.path)
    assert queue.lock.take()
    assert queue.lock.take()
    assert not other.take()
    queue.lock.release()
    assert other.take()
    other.release()


def test_a_killed_holder_lets_go(queue: CommitQueue) -> None:
    code = (
        "import sys, time; from pytest_starcoder.review.commit_queue import Lock; "
        "lock = Lock(sys.argv[1]); lock.take(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, queue.lock.path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        assert not queue.lock.take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert queue.lock.take()
    queue.lock.release()


def test_a_file_system_without_locks(queue: CommitQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(queue_module, "_lock", refuse)
    assert queue.lock.take()
    queue.lock.release()


# --- the worker -----------------------------------------------------------------------------


def test_every_commit_has_a_report(queue: CommitQueue, reports: PendingReports) -> None:
    for commit in (A, B, C):
        queue.add(commit, "", {})
    worker(queue, reviewing(FOUND)).run()
    assert [report.hash for report in shown(reports)] == [A, B, C]
    assert not queue.commits()
    assert not shown(reports)


def test_what_comes_meanwhile_is_reviewed_too(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})

    def review(waiting: WaitingCommit) -> CommitReview:
        if waiting.hash == A:
            queue.add(B, "", {})
        return CommitReview("title", CLEAN)

    worker(queue, review).run()
    assert [report.hash for report in shown(reports)] == [A, B]


def test_what_comes_at_the_very_end_is_reviewed_too(
    queue: CommitQueue, reports: PendingReports
) -> None:
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


def test_a_second_worker_does_nothing(queue: CommitQueue, reports: PendingReports) -> None:
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


def test_a_replaced_commit_is_dropped(queue: CommitQueue, reports: PendingReports) -> None:
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
def test_a_commit_that_cannot_be_reviewed_is_named(
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


def test_a_model_that_is_away_is_asked_later(queue: CommitQueue, reports: PendingReports) -> None:
    queue.add(A, "", {})
    with pytest.raises(KeyboardInterrupt):
        worker(queue, raising(KeyboardInterrupt())).run()
    for _ in range(2):
        worker(queue, reviewing(AWAY, is_final=False)).run()
    (named,) = shown(reports)
    assert named.lines()[-2:] == [RETRY_NOTE, named.summary]
    assert not named.is_given_up
    worker(queue, reviewing(FOUND)).run()
    (report,) = shown(reports)
    assert report.findings[0]["text"].startswith("shop.py:6: error: Divides by zero.")
    assert not queue.commits()


def test_a_model_that_never_comes_is_told_at_last(
    queue: CommitQueue, reports: PendingReports
) -> None:
    queue.add(A, "", {})
    for _ in range(MAX_ATTEMPTS + 1):
        worker(queue, reviewing(AWAY, is_final=False)).run()
    (report,) = shown(reports)
    assert report.summary.endswith(
        "Not reviewed: the whole commit (tried 20 times: Nothing answers)."
    )
    assert report.is_given_up


def test_the_others_come_before_one_that_ends_the_process(
    queue: CommitQueue, reports: PendingReports
) -> None:
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


def test_too_many_are_named(
    queue: CommitQueue, reports: PendingReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAITING", 2)
    for commit in (A, B, C):
        queue.add(commit, "", {})
    worker(queue, reviewing(CLEAN)).run()
    first, *others = shown(reports)
    assert first.hash == A
    assert first.summary.endswith("Not reviewed: the whole commit (more than 2 commits waited).")
    assert [report.hash for report in others] == [B, C]


# --- reports --------------------------------------------------------------------------------


def test_a_report_is_shown_once_and_at_its_push(
    queue: CommitQueue, reports: PendingReports
) -> None:
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


def test_records_are_merged_by_the_schema() -> None:
    import jsonschema

    from pytest_starcoder.review.json_report import review_schema, review_to_json

    records = [json.loads(review_to_json(review)) for review in (CLEAN, FOUND, FOUND)]
    merged = merge_records(records)
    jsonschema.validate(merged, review_schema())
    assert (merged["hunks"], len(merged["findings"]), merged["change"]) == (3, 2, "3 commits")
    assert merge_records(records[:1]) == records[0]
