"""Runs tests for the search for fixes; its own tests use a fake laboratory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Edits, Trial, Trials
from pytest_starcoder.runner.worker_messages import Checks, Input, Record


class Bench(Protocol):
    """The part of Trials that the search uses."""

    level: Level

    def baseline(self, tests: Sequence[str], limit: float) -> dict[str, Record]: ...

    def try_in_functions(self, candidates: Sequence[Edits], checks: Checks) -> Iterable[Trial]: ...

    def try_on_import(self, candidates: Sequence[Edits], checks: Checks) -> Iterable[Trial]: ...

    def run_tests(
        self, candidates: Sequence[Edits], limits: Mapping[str, float]
    ) -> list[tuple[Record, ...]]: ...

    def observe(
        self, candidates: Sequence[Edits], checks: Checks
    ) -> tuple[list[Input], list[tuple[str, ...]]]: ...


class Laboratory(Protocol):
    """Tries edits, and runs tests with edits in a pytest process of their own."""

    def open_bench(self, tests: Sequence[str], deadline: Deadline) -> AbstractContextManager[Bench]:
        """Collect the tests. Raises Unavailable, and OSError if no process can be started."""

    def run(self, tests: Sequence[str], edits: Edits, deadline: Deadline) -> set[str]:
        """Return which tests pass, run in this order."""

    def names_in_diff(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Return the names of files in a diff, by path."""


@dataclass(frozen=True)
class PytestLaboratory:
    """Runs the user's tests in a sandbox of at least `min_level`."""

    launch: Launch
    min_level: Level

    def open_bench(self, tests: Sequence[str], deadline: Deadline) -> AbstractContextManager[Bench]:
        return Trials(self.launch, tests, deadline, self.min_level)

    def run(self, tests: Sequence[str], edits: Edits, deadline: Deadline) -> set[str]:
        outcomes = rerun(self.launch, tests, deadline, edits=edits, sandbox=self.min_level)
        return {outcome.nodeid for outcome in outcomes if outcome.outcome == "passed"}

    def names_in_diff(self, paths: Iterable[str]) -> Mapping[str, str]:
        return self.launch.project.names_in_diff(paths)
