"""The reports of background reviews, one file per commit, until they were shown.

A report is shown after the next commit, and once more when its commit is pushed. The files
hold ready-made text, because git waits for the hook that shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator

from pytest_starcoder.review.commit_queue import (
    CommitQueue,
    commit_hash,
    list_files,
    write_atomically,
)

TYPE_CHECKING = False  # importing `typing` would take longer than reading a report

if TYPE_CHECKING:
    from typing import Any

    from pytest_starcoder.review.finding import Review

MAX_SHOWN = 100
"""Number of shown reports to keep: their findings are not shown again for other commits."""

NEW, SHOWN, PUSHED = "new", "shown", "pushed"
"""The folders that a report moves through."""


class CommitReport:
    """The report on one commit; `content` is the JSON that `PendingReports.write` wrote.

    `shown` are the findings to print: all of them unless a caller selects some.
    """

    def __init__(self, name: str, content: dict[str, Any]) -> None:
        self.name = name
        self.hash = commit_hash(name)
        self.title: str = content["title"]
        self.summary: str = content["summary"]
        self.notes: list[str] = content["notes"]
        self.is_given_up: bool = content["given_up"]
        self.findings: list[dict[str, Any]] = content["findings"]
        self.record: dict[str, Any] = content["record"]
        self.shown = self.findings

    @property
    def lacks_model(self) -> bool:
        """Tell whether a model was unavailable or the review failed."""
        return self.is_given_up or bool(self.record["away"])

    @property
    def needs_reading(self) -> bool:
        return bool(self.shown) or self.is_given_up

    def lines(self) -> list[str]:
        """Return the lines to print."""
        hidden = len(self.findings) - len(self.shown)
        hint = f" {hidden} left out: shown before, fixed or accepted." if hidden else ""
        return [
            f"Reviewed in the background: {self.title}",
            *(finding["text"] for finding in self.shown),
            *self.notes,
            self.summary + hint,
        ]

    def shown_record(self) -> dict[str, Any]:
        """Return the JSON report with only the findings that are printed."""
        fingerprints = {finding["fingerprint"] for finding in self.shown}
        entries = self.record["findings"]
        entries = [entry for entry in entries if entry["fingerprint"] in fingerprints]
        return {**self.record, "findings": entries}


def merge_records(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON report on several commits, as if they had been reviewed at once."""
    *earlier, last = records
    merged = dict(last)
    if earlier:
        merged["change"] = f"{len(records)} commits"
        merged["failed"] = any(record["failed"] for record in records)
        merged["summary"] = " ".join(record["summary"] for record in records)
        for key in _ADDED_UP:
            merged[key] = sum((record[key] for record in earlier), start=last[key])
    return merged


_ADDED_UP = (
    *("files", "hunks", "hunks_reviewed", "model_calls", "seconds"),
    *("findings", "not_shown", "accepted", "ignored", "not_reviewed", "notes"),
)


class PendingReports:
    """The reports of a repository's queue."""

    def __init__(self, queue: CommitQueue) -> None:
        self._folder = queue.folder

    def write(self, name: str, title: str, review: Review, *, given_up: bool = False) -> None:
        """Save the report on the queue entry `name` as new. Raises OSError."""
        from dataclasses import replace

        from pytest_starcoder.review.json_report import review_to_json
        from pytest_starcoder.review.text_report import summary, to_text
        from pytest_starcoder.text.display import one_line

        findings = []
        for finding in review.findings:
            text = to_text(replace(review, findings=(finding,), notes=()))
            entry = {
                "fingerprint": finding.fingerprint,
                "path": finding.path,
                "source": finding.source,
                "severity": int(finding.severity),
                "text": text.rstrip("\n").rpartition("\n")[0],  # without the summary
            }
            findings.append(entry)
        content = {
            "title": one_line(title, 200),  # a commit subject may contain anything
            "summary": summary(review),
            "notes": list(review.notes),
            "given_up": given_up,
            "findings": findings,
            "record": json.loads(review_to_json(review)),
        }
        write_atomically(self._path(NEW, name), json.dumps(content))

    def is_reviewed(self, commit: str) -> bool:
        """Return whether `commit` has a report that does not have to be redone."""
        for stage in (NEW, SHOWN, PUSHED):
            # The hash is in the file name, so most reports need not be read.
            if commit in map(commit_hash, list_files(self._path(stage))):
                reports = [report for report in self._read(stage) if report.hash == commit]
                return not all(report.lacks_model for report in reports)
        return False

    def has_new(self) -> bool:
        return bool(list_files(self._path(NEW)))

    def has_any_for_a_push(self) -> bool:
        return any(list_files(self._path(stage)) for stage in (NEW, SHOWN))

    def show_new(self) -> Iterator[CommitReport]:
        """Yield the new reports, oldest first; each is yielded to one process only."""
        yield from self._take((NEW,), SHOWN)

    def show_pushed(self, commits: Collection[str]) -> Iterator[CommitReport]:
        """Yield the reports on `commits` that were not yet shown at a push."""
        yield from self._take((SHOWN, NEW), PUSHED, commits)

    def fingerprints(self) -> set[str]:
        """Return the fingerprints of all findings that were shown."""
        fingerprints: set[str] = set()
        for report in (*self._read(SHOWN), *self._read(PUSHED)):
            fingerprints.update(finding["fingerprint"] for finding in report.findings)
        return fingerprints

    def _take(
        self, stages: Iterable[str], target: str, commits: Collection[str] | None = None
    ) -> Iterator[CommitReport]:
        """Move reports to the folder `target` and yield them."""
        for stage in stages:
            for report in self._read(stage):
                if commits is not None and report.hash not in commits:
                    continue
                os.makedirs(self._path(target), mode=0o700, exist_ok=True)
                source = self._path(stage, report.name)
                try:
                    # Only one of two concurrent processes succeeds.
                    os.replace(source, self._path(target, report.name))
                except OSError:
                    continue
                yield report
        for name in list_files(self._path(target))[:-MAX_SHOWN]:
            with contextlib.suppress(OSError):
                os.unlink(self._path(target, name))

    def _read(self, stage: str) -> list[CommitReport]:
        reports = []
        for name in list_files(self._path(stage)):
            try:
                with open(self._path(stage, name), encoding="utf-8") as file:
                    reports.append(CommitReport(name, json.load(file)))
            except (OSError, ValueError, KeyError, TypeError):
                with contextlib.suppress(OSError):
                    os.unlink(self._path(stage, name))  # damaged: there is nothing to show
        return reports

    def _path(self, *names: str) -> str:
        return os.path.join(self._folder, *names)
