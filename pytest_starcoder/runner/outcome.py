"""Tests of the session, and their outcomes when they run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Lines = Mapping[str, frozenset[int]]
"""Executed lines by path, relative to the root."""

Arcs = Mapping[str, frozenset[tuple[int, int]]]
"""Pairs of lines that ran one after the other, by path; 0 is the end of a call."""

QUICK = 3.0
"""Maximum seconds of a test that is run again."""

MISSING: Literal["missing"] = "missing"
"""Outcome of a test that could not be collected again."""


@dataclass(frozen=True)
class Call:
    """One call of a project function in a traced run, with its arguments and outcome as texts.

    `outcome` is "returned 3.0", "yielded 1, 2" or "raised ValueError"; `line` is that of the
    `def`, 1-based. `caller` is the path and line that called it, if that is in the project.
    A `late` call was made during the failing statement of the test function.
    """

    path: str
    line: int
    function: str
    arguments: str
    outcome: str
    caller: tuple[str, int] = ("", 0)
    late: bool = False

    @property
    def has_result(self) -> bool:
        return self.outcome.startswith(("returned ", "yielded ", "raised "))


@dataclass(frozen=True)
class VariableTypes:
    """The types of a function's variables when its calls ended, by name.

    `line` is that of the `def`, 1-based.
    """

    path: str
    line: int
    names: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class FinishedTest:
    """One test of the session: pytest's outcome, seconds of all phases, and its xdist worker.

    `allowed` is False for a test that is marked never to run again, `fixable` for one that
    is never to run with changed code.
    """

    nodeid: str
    outcome: str
    seconds: float
    worker: str = ""
    allowed: bool = True
    fixable: bool = True

    @property
    def quick(self) -> bool:
        """True if it may run again."""
        return self.allowed and self.seconds <= QUICK


@dataclass(frozen=True)
class Outcome:
    """The outcome of one test that ran again, and what it executed if it was traced.

    A test that could not be collected again is MISSING, and `message` gives the reason.

    `lines` exclude those that ran only because the test had failed. Of a failing test,
    `late_lines` are those that ran during the failing statement of the test function, and
    `unchecked_lines` all but those of earlier statements whose results a check has passed:
    `assert double(2) == 4`, or `x = double(2)` and `assert x == 4` unless x is used again.
    Both are empty where that is unknown, as after a failing fixture. `entered` are functions
    (path and line of the `def`) in the order in which they were last entered.

    `imported` are lines that ran while tests were collected, the same for all tests of a run,
    and those `only_first` that ran only the first time that the test ran in the process.
    `seconds` is the duration of all phases. `secrets` are values of secret-looking names up to
    then, to be removed from every text.
    """

    nodeid: str
    outcome: Literal["passed", "failed", "skipped", "missing"]
    seconds: float = 0.0
    exception: str = ""
    message: str = ""
    lines: Lines = field(default_factory=dict)
    arcs: Arcs = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    types: tuple[VariableTypes, ...] = ()
    late_lines: Lines = field(default_factory=dict)
    unchecked_lines: Lines = field(default_factory=dict)
    entered: tuple[tuple[str, int], ...] = ()
    only_first: Lines = field(default_factory=dict)
    imported: Lines = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"


@dataclass(frozen=True)
class ExecutedLines:
    """Lines executed outside tests: while tests were collected, or in another process."""

    lines: Lines
