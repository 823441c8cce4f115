"""The search for fixes as explanations see it, an interface that the feature `fix` implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pytest_starcoder.deadline import NO_DEADLINE, Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.fixes import Fixes
from pytest_starcoder.model.client import Client
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.sources import SourceFiles

ShowStatus = Callable[[str, str], AbstractContextManager[Callable[[str], None]]]
"""Shows a label and an activity; the block gets a function that sets the progress."""

Ask = Callable[[str, str], str]
"""Asks the user a question and returns the answer in lower case, empty without a terminal.

The second text is what to do without one.
"""


@dataclass(frozen=True)
class FixContext:
    """All that is needed to search for fixes in one session.

    `deadline` is that of all explaining.
    """

    cases: Sequence[Case]
    tests: Sequence[FinishedTest]
    launch: Launch
    sources: SourceFiles
    conventions: Conventions
    settings: Settings
    client: Client | None
    redact: Callable[[str], str]
    show_status: ShowStatus
    deadline: Deadline = NO_DEADLINE


@dataclass(frozen=True)
class WriteOptions:
    """The files that may be written: fixes if `apply` is "ask" or "yes", and tests."""

    apply: str | None
    add_tests: bool
    ask: Ask


class FixSearch(Protocol):
    """Searches for fixes of the cases of one session."""

    def find(self, case: Case) -> Fixes:
        """Return the fixes of a case; a KeyboardInterrupt ends all further searches."""

    def try_correction(self, case: Case, code: str) -> Fixes:
        """Return the fixes of a case after trying the functions in `code`, written by a model."""

    def write(self, explanations: Sequence[Explanation], options: WriteOptions) -> list[str]:
        """Write the best fix of each case, and answers as tests; return messages."""


MakeFixSearch = Callable[[FixContext], FixSearch]
