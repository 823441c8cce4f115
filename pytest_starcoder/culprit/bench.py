"""Runs tests with pieces of a change undone, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from pytest_starcoder.culprit.pieces import ChangedText, Piece, Pieces
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.trials import Edits, Trial
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.project import Project
from pytest_starcoder.source.syntax import syntax_tree


class Verdict(Enum):
    """The result of a test with pieces undone, compared with the test as it is."""

    PASSES = "passes"
    FAILS = "fails as before"
    UNKNOWN = "no answer"


class OutOfTime(Exception):
    """The time for undoing changes is over."""


class Worker(Protocol):
    """The part of `Trials` that runs tests with other code."""

    def try_all(
        self,
        candidates: Sequence[Edits],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> Mapping[Edits, Trial]: ...

    def run_with_files(
        self,
        candidates: Sequence[Texts],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> Sequence[Sequence[Record]]: ...


Records = Mapping[str, Record]
"""The records of tests by node id; empty if they did not finish."""


class Bench:
    """Runs tests with sets of pieces undone; `files` are all files that have pieces."""

    def __init__(
        self, worker: Worker, files: Sequence[ChangedText], project: Project, deadline: Deadline
    ) -> None:
        self.files = {file.path: file for file in files}
        self.tried = 0
        self._worker = worker
        self._project = project
        self._deadline = deadline

    def run(self, sets: Sequence[Pieces], limits: Mapping[str, float]) -> list[Records | None]:
        """Run the tests with each set undone inside functions; None if that is not possible."""
        self._check_time(len(sets))
        candidates: dict[Edits, Pieces] = {}
        for pieces in sets:
            if not any(piece.whole or piece.kind == "data" for piece in pieces):
                candidates[_edits(pieces)] = pieces
        trials = self._worker.try_all(list(candidates), limits, in_session=True)
        records: dict[Pieces, Records] = {}
        for edits, pieces in candidates.items():
            trial = trials.get(edits)
            if trial is not None and trial.verdict not in ("unswappable", "unchanged"):
                records[pieces] = _by_test(trial.records)
        return [records.get(pieces) for pieces in sets]

    def run_afresh(self, pieces: Pieces, limits: Mapping[str, float]) -> Records:
        """Run the tests with a set undone, importing the project anew."""
        self._check_time(1)
        texts = self.texts(pieces)
        if texts is None:
            return {}
        [records] = self._worker.run_with_files([texts], limits, in_session=True)
        return _by_test(records)

    def texts(self, pieces: Pieces) -> dict[str, str | None] | None:
        """Return the texts of files without the pieces; None if one is not valid Python."""
        texts: dict[str, str | None] = {}
        for path in sorted({piece.path for piece in pieces}):
            file = self.files[path]
            text = file.undo(pieces)
            if text is not None and file.kind != "data" and syntax_tree(text) is None:
                return None
            texts[str(self._project.file(path))] = text
        return texts

    def split(self, piece: Piece) -> list[Piece]:
        """Divide a piece into its smallest parts, from now on."""
        file = self.files[piece.path]
        self.files[piece.path] = divided = file.split(piece)
        before = set(file.pieces)
        return [part for part in divided.pieces if part not in before]

    def _check_time(self, runs: int) -> None:
        if self._deadline.remaining() <= 0:
            raise OutOfTime
        self.tried += runs


@dataclass
class Oracle:
    """Judges sets of pieces by one failing test; `before` is its record with nothing undone.

    The tests in `earlier` run before it, each with its limit: it fails only after them.
    """

    bench: Bench
    test: str
    limit: float
    before: Record
    earlier: Mapping[str, float] = field(default_factory=dict)
    verdicts: dict[Pieces, Verdict] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, float]:
        """The limits of all tests to run, in their order."""
        return {**self.earlier, self.test: self.limit}

    def judge(self, pieces: Pieces) -> Verdict:
        """Return the verdict on one set."""
        return self.judge_all([pieces])[pieces]

    def judge_all(self, sets: Collection[Pieces]) -> Mapping[Pieces, Verdict]:
        """Return the verdicts on several sets."""
        self.judge_in_functions(sets)
        for pieces in sets:
            if pieces not in self.verdicts:
                records = self.bench.run_afresh(pieces, self.limits)
                self.verdicts[pieces] = self._verdict(records)
        return self.verdicts

    def judge_in_functions(self, sets: Collection[Pieces]) -> list[Pieces]:
        """Judge the sets that are inside functions, which is quick; return the others."""
        unknown = [pieces for pieces in sets if pieces not in self.verdicts]
        if not unknown:
            return []
        others = []
        runs = self.bench.run(unknown, self.limits)
        for pieces, records in zip(unknown, runs, strict=True):
            if records is None:
                others.append(pieces)
            else:
                self.verdicts[pieces] = self._verdict(records)
        return others

    def passes(self, pieces: Pieces) -> bool:
        return self.judge(pieces) is Verdict.PASSES

    def _verdict(self, records: Records) -> Verdict:
        record = records.get(self.test)
        if record is None:
            return Verdict.UNKNOWN
        if record.outcome == "passed":
            return Verdict.PASSES
        return Verdict.FAILS if is_same_failure(record, self.before) else Verdict.UNKNOWN


def is_same_failure(record: Record, before: Record) -> bool:
    """Return whether a test fails as before: with that exception from that function."""
    keys = []
    for each in (record, before):
        path = each.place.rpartition(":")[0]
        keys.append((each.outcome, each.raised, path, each.function))
    return record.outcome != "passed" and keys[0] == keys[1]


def _edits(pieces: Pieces) -> Edits:
    edits = [piece.edit for piece in pieces]
    return tuple(sorted(edits, key=lambda edit: (edit.path, edit.span)))


def _by_test(records: Sequence[Record]) -> Records:
    return {record.nodeid: record for record in records}
