"""The process that reviews the queued commits one after another.

`python -m pytest_starcoder.review.background_worker FOLDER [DESCRIPTOR]`: the folder of the
queue, and its lock if the starting process has already taken it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.review.change import TIME_LIMIT_REACHED, Unreviewed
from pytest_starcoder.review.change_selection import select_commit
from pytest_starcoder.review.commit_queue import MAX_WAITING, CommitQueue, Lock, WaitingCommit
from pytest_starcoder.review.finding import Review
from pytest_starcoder.review.pending_reports import PendingReports
from pytest_starcoder.review.reviewer import review_quietly
from pytest_starcoder.source.git.repository import Repository
from pytest_starcoder.text.display import one_line

PATIENCE = 600.0
"""Maximum seconds for the review of one commit."""

MAX_ATTEMPTS = 20
"""Maximum attempts per commit if no model answers or the review never finishes."""

RETRY_NOTE = "It will be tried again after the next commit."


class Replaced(Exception):
    """The commit was amended or rebased away; its replacement has its own queue entry."""


@dataclass(frozen=True)
class CommitReview:
    """The review of a commit, with the commit's `title`.

    `is_final` is false if the model was unavailable and may answer another time.
    """

    title: str
    review: Review
    is_final: bool = True


class BackgroundWorker:
    """Reviews every queued commit; `review` raises Replaced for one that no longer exists.

    It raises ConfigError for one that cannot be reviewed.
    """

    def __init__(
        self,
        queue: CommitQueue,
        reports: PendingReports,
        review: Callable[[WaitingCommit], CommitReview],
    ) -> None:
        self._queue = queue
        self._reports = reports
        self._review = review
        self._attempted: set[str] = set()

    def run(self) -> None:
        """Review until this process has tried every waiting commit, or another worker took over."""
        # Checked again after the lock is released: a commit added meanwhile started no worker.
        while self._next() is not None:
            if not self._queue.lock.take():
                return
            try:
                self._drop_oldest()
                while (waiting := self._next()) is not None:
                    self._work(waiting)
                    self._drop_oldest()
            finally:
                self._queue.lock.release()

    def _next(self) -> WaitingCommit | None:
        """Return the least often tried commit, the oldest if several.

        So a commit whose review crashes this process comes after all others.
        """
        commits = self._queue.commits()
        untried = [waiting for waiting in commits if waiting.name not in self._attempted]
        return min(untried, key=lambda waiting: waiting.attempts, default=None)

    def _work(self, waiting: WaitingCommit) -> None:
        """Review a commit, and report or postpone it."""
        self._attempted.add(waiting.name)
        if waiting.attempts >= MAX_ATTEMPTS:
            reason = waiting.problem or "its review never finished"
            self._give_up(waiting, f"tried {MAX_ATTEMPTS} times: {reason}")
            return
        waiting.attempts += 1
        self._queue.update(waiting)  # before the review, which may crash this process
        try:
            result = self._review(waiting)
        except Replaced:
            self._queue.remove(waiting)
        except ConfigError as exc:
            self._give_up(waiting, str(exc))
        except Exception as exc:  # noqa: BLE001 - report the commit and go on with the others
            reason = str(exc) if isinstance(exc, StarcoderError) else f"{type(exc).__name__}: {exc}"
            self._give_up(waiting, f"the review itself failed: {reason}")
        else:
            self._report(waiting, result)

    def _report(self, waiting: WaitingCommit, result: CommitReview) -> None:
        if result.is_final:
            self._reports.write(waiting.name, result.title, result.review)
            self._queue.remove(waiting)
            return
        if not waiting.problem:
            # Reported once, so observed findings do not have to wait for a model.
            review = replace(result.review, notes=(RETRY_NOTE,))
            self._reports.write(waiting.name, result.title, review)
        waiting.problem = result.review.away
        self._queue.update(waiting)

    def _drop_oldest(self) -> None:
        for waiting in self._queue.commits()[:-MAX_WAITING]:
            self._give_up(waiting, f"more than {MAX_WAITING} commits waited")

    def _give_up(self, waiting: WaitingCommit, reason: str) -> None:
        """Report a commit as not reviewed and remove it from the queue."""
        title = waiting.hash[:10]
        missing = Unreviewed("the whole commit", one_line(reason, 300))
        review = Review(title, unreviewed=(missing,), files=1)
        self._reports.write(waiting.name, title, review, given_up=True)
        self._queue.remove(waiting)


def review_commit(waiting: WaitingCommit) -> CommitReview:
    """Review the change made by a commit. Raises Replaced and ConfigError."""
    started = time.monotonic()
    folder = Path(waiting.folder)  # its settings count, unless the worktree is gone
    if not folder.is_dir():
        folder = _main_worktree()
    repository = Repository(folder)
    if not repository.is_reachable(waiting.hash):
        raise Replaced
    source = select_commit(repository, waiting.hash, waiting.options, folder)
    result = review_quietly(source, PATIENCE)
    result = replace(result, seconds=time.monotonic() - started)
    is_final = (
        not result.away
        or result.away.startswith(TIME_LIMIT_REACHED)
        # With the backend `none` no model will ever answer.
        or source.settings.backend == "none"
    )
    return CommitReview(result.description, result, is_final)


def _main_worktree() -> Path:
    """Return the folder that contains the git directory this process was started in."""
    here = Path.cwd()
    return next((folder.parent for folder in here.parents if folder.name == ".git"), here)


def main(arguments: list[str]) -> None:
    folder, *descriptors = arguments
    queue = CommitQueue(str(Path(folder).parents[1]))
    if descriptors:
        descriptor = int(descriptors[0])
        os.set_inheritable(descriptor, False)  # child processes must not hold the lock
        queue.lock = Lock(queue.lock.path, descriptor)
    with contextlib.suppress(OSError):  # the folder is gone or no longer writable
        BackgroundWorker(queue, PendingReports(queue), review_commit).run()


if __name__ == "__main__":
    main(sys.argv[1:])
