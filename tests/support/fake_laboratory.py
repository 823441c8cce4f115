"""A laboratory that tries edits of one module in this process: fast, without pytest or forks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.fix.edit_sites import Places
from pytest_starcoder.fix.laboratory import Bench
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Edits, Trial
from pytest_starcoder.runner.worker_messages import Checks, Input, Record
from pytest_starcoder.source.edits import apply_edits
from pytest_starcoder.source.sources import SourceFiles

PATH = "shop.py"


class FakeLaboratory:
    """Tries edits of `source`, the module shop.py.

    `tests` are expressions that are true if the test passes; `calls` are the observed inputs.
    Tests in `unconfirmed` fail in a pytest process of their own.
    """

    level = Level.AUDIT

    def __init__(
        self,
        source: str,
        tests: Mapping[str, str],
        calls: Sequence[str] = (),
        unconfirmed: Collection[str] = (),
    ) -> None:
        self.source = source
        self.tests = tests
        self.calls = calls
        self.unconfirmed = unconfirmed
        self.tried: list[Edits] = []
        self.imported: list[Edits] = []
        self.confirmed: list[Sequence[str]] = []

    @property
    def sources(self) -> SourceFiles:
        return SourceFiles(lambda path: self.source if path == PATH else "")

    def open_bench(self, tests: Sequence[str], deadline: Deadline) -> AbstractContextManager[Bench]:
        return nullcontext(self)

    def baseline(self, tests: Sequence[str], limit: float) -> dict[str, Record]:
        [records] = self.run_tests([()], dict.fromkeys(tests, limit))
        return {record.nodeid: record for record in records}

    def try_in_functions(self, candidates: Sequence[Edits], checks: Checks) -> Iterator[Trial]:
        for edits in candidates:
            if all(self._is_in_function(edit.span[0]) for edit in edits):
                self.tried.append(edits)
                yield self._trial(edits, checks)
            else:
                yield Trial(edits, "unswappable")

    def try_on_import(self, candidates: Sequence[Edits], checks: Checks) -> Iterator[Trial]:
        for edits in candidates:
            self.imported.append(edits)
            yield self._trial(edits, checks)

    def run_tests(
        self, candidates: Sequence[Edits], limits: Mapping[str, float]
    ) -> list[tuple[Record, ...]]:
        results = []
        for edits in candidates:
            passed = self._passed(limits, edits)
            records = [
                Record(nodeid, "passed" if nodeid in passed else "failed", 0.0) for nodeid in limits
            ]
            results.append(tuple(records))
        return results

    def observe(
        self, candidates: Sequence[Edits], checks: Checks
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        inputs = []
        for call in self.calls:
            name = call.partition("(")[0]
            inputs.append(Input(call, f"from shop import {name}\n{call}"))
        behaviours = []
        for edits in candidates:
            namespace = self._namespace(edits)
            behaviours.append(tuple(_outcome(call, namespace) for call in self.calls))
        return inputs, behaviours

    def run(self, tests: Sequence[str], edits: Edits, deadline: Deadline) -> set[str]:
        self.confirmed.append(tests)
        return self._passed(tests, edits) - set(self.unconfirmed)

    def names_in_diff(self, paths: Iterable[str]) -> Mapping[str, str]:
        return {path: path for path in paths}

    def _trial(self, edits: Edits, checks: Checks) -> Trial:
        passed = self._passed(checks.limits, edits)
        if not passed >= checks.failing.keys():
            return Trial(edits, "fails")
        return Trial(edits, "passes" if passed >= checks.passing.keys() else "breaks")

    def _passed(self, tests: Iterable[str], edits: Edits) -> set[str]:
        passed = set()
        namespace = self._namespace(edits)
        for nodeid in tests:
            if _outcome(self.tests[nodeid], dict(namespace)) == "returns True":
                passed.add(nodeid)
        return passed

    def _namespace(self, edits: Edits) -> dict[str, Any]:
        namespace: dict[str, Any] = {}
        try:
            exec(apply_edits(self.source, edits), namespace)
        except Exception:  # noqa: BLE001 - an edit may raise anything
            return {}
        return namespace

    def _is_in_function(self, position: int) -> bool:
        start = self.source.rfind("\n", 0, position) + 1
        return self.source[start : start + 1] == " "


def _outcome(expression: str, namespace: dict[str, Any]) -> str:
    try:
        return f"returns {eval(expression, namespace)!r}"
    except Exception as exc:  # noqa: BLE001 - an edit may raise anything
        return f"raises {type(exc).__name__}"


def case_of(
    source: str, failing: Sequence[str], passing: Sequence[str] = (), *, phase: str = "call"
) -> Case:
    """Return a case whose failing tests run every line of shop.py."""
    lines = tuple((PATH, number) for number in range(1, source.count("\n") + 1))
    failures = tuple(Failure(nodeid, phase, "AssertionError", "", "") for nodeid in failing)
    replay = Replay(
        tuple(Outcome(nodeid, "failed") for nodeid in failing),
        tuple(Outcome(nodeid, "passed") for nodeid in passing),
    )
    return Case(Cause(failures), replay, lines, dict.fromkeys(lines, 1.0))


def places_of(case: Case) -> Places:
    return Places(case.ranked)
