"""The search for the change that broke tests, an interface that `culprit` implements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_starcoder.deadline import NO_DEADLINE, Deadline
from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.fix_interface import ShowStatus
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions


@dataclass(frozen=True)
class UndoContext:
    """All that is needed to undo changes in one session.

    `since` is the commit that the user named with --starcoder-since, or empty. `started` is when
    the tests began, in seconds since the epoch, and `passed` are the commits at which tests have
    passed before, by node id. `is_wanted`: the user has asked for the change by an option.
    `deadline` is that of all explaining.
    """

    tests: Sequence[FinishedTest]
    launch: Launch
    conventions: Conventions
    settings: Settings
    show_status: ShowStatus
    since: str = ""
    is_wanted: bool = False
    started: float = math.inf
    passed: Mapping[str, str] = field(default_factory=dict)
    deadline: Deadline = NO_DEADLINE


class UndoSearch(Protocol):
    """Searches for the changes that broke the tests of one session."""

    def find(self, causes: Sequence[tuple[Cause, Replay]]) -> Sequence[Breakage]:
        """Return what broke each cause, in the same order.

        Causes with the same culprit get breakages with equal pieces.
        """


MakeUndoSearch = Callable[[UndoContext], UndoSearch]
