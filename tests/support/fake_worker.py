"""A worker that judges texts of files without running anything, to test the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pytest_starcoder.culprit.bench import Bench, Oracle
from pytest_starcoder.culprit.pieces import ChangedText, Kind
from pytest_starcoder.culprit.search import Search, SearchResult
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.outcome import Lines
from pytest_starcoder.runner.trials import Edits, Trial
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.edits.edit import apply_edits
from pytest_starcoder.source.project import Project

Outcome = Literal["passed", "failed", "skipped", "other failure", "missing"]
"""The outcome of the test; "other failure" is one of another exception."""

Judge = Callable[[Mapping[str, str | None]], Outcome]
"""Returns the outcome of the test with the texts of all files, by path."""

ROOT = Path("/project")
TEST = "test_it.py::test_it"
BEFORE = Record(TEST, "failed", 0.0, "AssertionError", "/project/test_it.py:3", "", "test_it")


class FakeWorker:
    """Judges texts; edits of files in `at_import` cannot be made inside functions.

    A file in `used_at_import` has run before functions are exchanged: that has no effect.
    """

    def __init__(
        self,
        texts: Mapping[str, str | None],
        judge: Judge,
        at_import: Sequence[str] = (),
        used_at_import: Sequence[str] = (),
    ) -> None:
        self.texts = texts
        self.judge = judge
        self.at_import = at_import
        self.used_at_import = used_at_import
        self.exchanges = 0
        self.imports = 0

    def try_all(
        self,
        candidates: Sequence[Edits],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> Mapping[Edits, Trial]:
        trials = {}
        for edits in candidates:
            if any(edit.path in self.at_import for edit in edits):
                trials[edits] = Trial(edits, "unswappable")
                continue
            self.exchanges += 1
            texts = dict(self.texts)
            for path in {edit.path for edit in edits} - set(self.used_at_import):
                text = texts[path]
                assert text is not None
                texts[path] = apply_edits(text, [edit for edit in edits if edit.path == path])
            trials[edits] = Trial(edits, "passes", tuple(self._records(texts, limits)))
        return trials

    def run_with_files(
        self,
        candidates: Sequence[Texts],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> Sequence[Sequence[Record]]:
        results = []
        for texts in candidates:
            self.imports += 1
            by_path = {str(Path(path).relative_to(ROOT)): text for path, text in texts.items()}
            results.append(self._records({**self.texts, **by_path}, limits))
        return results

    def _records(
        self, texts: Mapping[str, str | None], limits: Mapping[str, float]
    ) -> list[Record]:
        assert list(limits) == [TEST]
        outcome = self.judge(texts)
        match outcome:
            case "failed":
                return [BEFORE]
            case "other failure":
                return [Record(TEST, "failed", 0.0, "NameError", "/project/a.py:1", "", "run")]
            case _:
                return [Record(TEST, outcome, 0.0)]


class Desk:
    """Files in two states by path, None where a file does not exist, and a judge."""

    def __init__(
        self,
        old: Mapping[str, str | None],
        new: Mapping[str, str | None],
        judge: Judge,
        *,
        at_import: Sequence[str] = (),
        used_at_import: Sequence[str] = (),
        deadline: Deadline | None = None,
    ) -> None:
        self.worker = FakeWorker(new, judge, at_import, used_at_import)
        files = []
        for path in dict.fromkeys([*old, *new]):
            files.append(ChangedText.of(path, kind_of(path), old.get(path), new.get(path)))
        deadline = deadline or Deadline.after(60)
        self.bench = Bench(self.worker, files, Project(ROOT), deadline)

    def oracle(self, imported: Lines | None = None) -> Oracle:
        return Oracle(self.bench, TEST, 1.0, BEFORE, imported=imported or {})

    def search(self, executed: Lines | None = None, imported: Lines | None = None) -> SearchResult:
        return Search(self.bench, self.oracle(imported), executed or {}).find()


def kind_of(path: str) -> Kind:
    if not path.endswith(".py"):
        return "data"
    return "test" if path.startswith("test_") else "code"


def places(found: SearchResult) -> list[list[str]]:
    """Return the places of each way."""
    ways = []
    for way in found.ways:
        ways.append(sorted(f"{piece.path}:{piece.line}" for piece in way))
    return ways
