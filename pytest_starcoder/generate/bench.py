"""The processes that the suite and the drafts run in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Target
from pytest_starcoder.generate.executed_code import ExecutedCode
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.rerun_job import Tracing
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Trials


@dataclass(frozen=True)
class DraftBench:
    """Runs tests for `targets` as the user's pytest would.

    `draws` is True if some drafts are tests of Hypothesis.
    """

    launch: Launch
    min_level: Level
    targets: Sequence[Target]
    draws: bool = False

    def open(self, deadline: Deadline, suite: Sequence[str] = (), *, hash_seed: str = "") -> Trials:
        """Return trials of drafts beside the tests of `suite`. Raises Unavailable."""
        launch = self.launch
        if hash_seed:
            environment = {**(launch.environment or os.environ), "PYTHONHASHSEED": hash_seed}
            launch = replace(launch, environment=environment)
        # Modules that no test imports have to be imported, or their mutants cannot be tried.
        # Dicts, because the order must not change.
        modules = {target.module: None for target in self.targets}
        folders = {str(target.folder): None for target in self.targets}
        return Trials(
            launch,
            suite,
            deadline,
            self.min_level,
            list(modules),
            list(folders),
            draws=self.draws,
        )

    def trace(
        self, suite: Sequence[str], deadline: Deadline, warn: Callable[[str], object]
    ) -> dict[str, ExecutedCode]:
        """Return the code that each test of the suite executes, if it passes."""
        executions = {}
        tracing = Tracing(lines=frozenset(suite), arcs=True)
        for test in rerun(self.launch, suite, deadline, tracing=tracing, warn=warn):
            if test.outcome == "passed":
                executions[test.nodeid] = ExecutedCode(test.lines, test.arcs, test.seconds)
        return executions
