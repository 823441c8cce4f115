"""Runs tests with pieces of a change undone, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from pytest_starcoder.culprit.pieces import ChangedText, Piece, Pieces
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.outcome import Lines
from pytest_starcoder.runner.trials import Edits, Trial
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.project import Project
from pytest_starcoder.source.syntax import syntax_tree


class Verdict(Enum):
    """The result of a test with pieces undone, compared with the test as it is."""

    PASSES = "passes"
    FAILS = "fails as before"
    UNKNOWN = "no answer"


class OutOfTime(Exception):
    """The time for undoing changes has run out."""


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

UNCHANGED: Records = MappingProxyType({})
"""Stands for the records of a run that would repeat the one with nothing undone."""


class Bench:
    """Runs tests with sets of pieces undone; `files` are all files with pieces."""

    def __init__(
        self, worker: Worker, files: Sequence[ChangedText], project: Project, deadline: Deadline
    ) -> None:
        self.files = {file.path: file for file in files}
        self.tried = 0
        self._parts: dict[Piece, list[Piece]] = {}
        self._worker = worker
        self._project = project
        self._deadline = deadline

    def run(self, sets: Sequence[Pieces], limits: Mapping[str, float]) -> list[Records | None]:
        """Run the tests with each set undone inside functions; None if that is not possible."""
        self._check_time(len(sets))
        edits_by_set: dict[Pieces, Edits] = {}
        for pieces in sets:
            if not any(piece.whole or piece.kind == "data" for piece in pieces):
                edits_by_set[pieces] = self._edits(pieces)
        candidates = list(dict.fromkeys(edits_by_set.values()))
        trials = self._worker.try_all(candidates, limits, in_session=True)
        records: dict[Pieces, Records] = {}
        for pieces, edits in edits_by_set.items():
            trial = trials.get(edits)
            # A file that is not valid Python now may be valid without the pieces.
            if trial is None or trial.verdict in ("unswappable", "invalid"):
                continue
            unchanged = trial.verdict == "unchanged"
            records[pieces] = UNCHANGED if unchanged else _by_test(trial.records)
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
        undone = self._smallest(pieces)
        texts: dict[str, str | None] = {}
        for path in sorted({piece.path for piece in undone}):
            file = self.files[path]
            text = file.undo(undone)
            if text is not None and file.kind != "data" and not _is_valid(text):
                return None
            texts[str(self._project.file(path))] = text
        return texts

    def split(self, piece: Piece) -> list[Piece]:
        """Divide a piece into its smallest parts, and remember them."""
        if piece not in self._parts:
            file = self.files[piece.path]
            self.files[piece.path] = divided = file.split(piece)
            before = set(file.pieces) - {piece}
            self._parts[piece] = [part for part in divided.pieces if part not in before]
        return self._parts[piece]

    def with_old_lines(self, piece: Piece, old: tuple[str, ...]) -> tuple[Bench, Piece]:
        """Return a bench with a piece in place of this one that restores other lines."""
        file = self.files[piece.path]
        parts = self._smallest([piece])
        restored = replace(piece, old=old)
        segments: list[str | Piece] = []
        for segment in file.segments:
            if segment not in parts:
                segments.append(segment)
            elif restored not in segments:
                segments.append(restored)
        files = {**self.files, piece.path: replace(file, segments=tuple(segments))}
        bench = Bench(self._worker, list(files.values()), self._project, self._deadline)
        bench._parts = dict(self._parts)
        bench._parts[restored] = [restored]
        return bench, restored

    def joined(self, pieces: Pieces) -> Pieces:
        """Return the same changes in as few pieces as possible."""
        joined: set[Piece] = set()
        smallest = self._smallest(pieces)
        for path in {piece.path for piece in pieces}:
            for piece in self.files[path].joined(smallest):
                parts = [part for part in smallest if part.is_within(piece)]
                if len(parts) > 1:
                    self._parts.setdefault(piece, parts)
                joined.add(piece)
        return frozenset(joined)

    def _edits(self, pieces: Pieces) -> Edits:
        undone = self._smallest(pieces)
        edits: list[Edit] = []
        for path in sorted({piece.path for piece in undone}):
            edits += self.files[path].edits(undone)
        return tuple(edits)

    def _smallest(self, pieces: Iterable[Piece]) -> Pieces:
        """Return the parts of pieces that were divided, and the others."""
        smallest: set[Piece] = set()
        for piece in pieces:
            parts = self._parts.get(piece, [piece])
            smallest |= {piece} if parts == [piece] else self._smallest(parts)
        return frozenset(smallest)

    def _check_time(self, runs: int) -> None:
        if self._deadline.remaining() <= 0:
            raise OutOfTime
        self.tried += runs


STEADY_ROUNDS = 4
"""Number of times that a test is repeated as it is, and with a set undone if that is quick."""


@dataclass
class Oracle:
    """Judges sets of pieces by one failing test; `before` is its record with nothing undone.

    `imported` are the lines that run when the test is imported. Swapping functions later does not
    change what these have computed, so pieces in them are undone before the import.
    The tests in `earlier` run before it, each with its limit: it fails only after them.
    """

    bench: Bench
    test: str
    limit: float
    before: Record
    earlier: Mapping[str, float] = field(default_factory=dict)
    imported: Lines = field(default_factory=dict)
    verdicts: dict[Pieces, Verdict] = field(default_factory=dict)
    _afresh: set[Pieces] = field(default_factory=set)
    _in_functions: bool = True

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
                self.judge_afresh(pieces)
        return self.verdicts

    def judge_in_functions(self, sets: Collection[Pieces]) -> list[Pieces]:
        """Judge the sets that are inside functions, which is quick; return the others."""
        unknown = [pieces for pieces in sets if pieces not in self.verdicts]
        in_functions = [pieces for pieces in unknown if self._is_swappable(pieces)]
        if not in_functions:
            return unknown
        results = self.bench.run(in_functions, self.limits)
        for pieces, records in zip(in_functions, results, strict=True):
            if records is not None:
                self.verdicts[pieces] = self._verdict(records)
        return [pieces for pieces in unknown if pieces not in self.verdicts]

    def judge_afresh(self, pieces: Pieces) -> Verdict:
        """Return the verdict on one set that is undone before the project is imported."""
        if pieces not in self._afresh:
            records = self.bench.run_afresh(pieces, self.limits)
            self.verdicts[pieces] = self._verdict(records)
            self._afresh.add(pieces)
        return self.verdicts[pieces]

    def stop_swapping_functions(self) -> None:
        """Judge all sets afresh from now on, and forget the other verdicts, which may be wrong."""
        self._in_functions = False
        for pieces in self.verdicts.keys() - self._afresh:
            del self.verdicts[pieces]

    def passes_with(self, pieces: Pieces, piece: Piece, old: tuple[str, ...]) -> bool:
        """Return whether the test passes with `pieces` undone, one of them to other lines."""
        bench, restored = self.bench.with_old_lines(piece, old)
        oracle = replace(self, bench=bench, verdicts={}, _afresh=set())
        return oracle.judge_afresh(pieces - {piece} | {restored}) is Verdict.PASSES

    def is_steady(self, pieces: Pieces) -> bool:
        """Return whether the test passes whenever the pieces are undone, and never otherwise."""
        is_quick = self._is_swappable(pieces) and pieces not in self._afresh
        for number in range(STEADY_ROUNDS):
            if self._passes_again(frozenset(), is_quick=True):
                return False
            if (is_quick or not number) and not self._passes_again(pieces, is_quick=is_quick):
                return False
        return True

    def _passes_again(self, pieces: Pieces, *, is_quick: bool) -> bool:
        records = None
        if is_quick:
            [records] = self.bench.run([pieces], self.limits)
        if records is None:
            records = self.bench.run_afresh(pieces, self.limits)
        return self._verdict(records) is Verdict.PASSES

    def _is_swappable(self, pieces: Pieces) -> bool:
        if not self._in_functions:
            return False
        return not any(piece.is_among(self.imported) for piece in pieces)

    def passes(self, pieces: Pieces) -> bool:
        return self.judge(pieces) is Verdict.PASSES

    def _verdict(self, records: Records) -> Verdict:
        if records is UNCHANGED:
            return Verdict.FAILS
        record = records.get(self.test)
        if record is None:
            return Verdict.UNKNOWN
        if record.outcome == "passed":
            return Verdict.PASSES
        return Verdict.FAILS if is_same_failure(record, self.before) else Verdict.UNKNOWN


def is_same_failure(record: Record, before: Record) -> bool:
    """Return whether a test fails as before: with the same exception from the same function."""
    keys = []
    for each in (record, before):
        path = each.place.rpartition(":")[0]
        keys.append((each.outcome, each.raised, path, each.function))
    return record.outcome != "passed" and keys[0] == keys[1]


def _is_valid(text: str) -> bool:
    return syntax_tree(text.removeprefix("\ufeff")) is not None


def _by_test(records: Sequence[Record]) -> Records:
    return {record.nodeid: record for record in records}
