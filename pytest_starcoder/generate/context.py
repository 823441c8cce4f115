"""The collaborators of one run of the test generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Target
from pytest_starcoder.generate.draft_selection import DraftSelection
from pytest_starcoder.generate.suite_score import SuiteScore
from pytest_starcoder.runner.trials import Trials

ShowProgress = Callable[[str], None]


@dataclass(frozen=True)
class RunContext:
    """The collaborators of one run; `progress` shows a sentence on what is being done."""

    trials: Trials
    targets: Sequence[Target]
    score: SuiteScore
    selection: DraftSelection
    deadline: Deadline
    progress: ShowProgress

    @property
    def is_over(self) -> bool:
        return self.deadline.remaining() <= 0
