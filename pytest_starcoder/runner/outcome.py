"""Tests that ran, and that were run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

QUICK = 3.0
"""Seconds that a test may have taken to be run again."""

MISSING = "missing"
"""Outcome of a test that could not be collected again."""


@dataclass(frozen=True)
class Call:
    """One call of a project function in a traced run: what went in and what came out, as bounded texts.

    `outcome` is "returned 3.0" or "raised ValueError: …"; `line` is that of the `def`, 1-based.
    """

    path: str
    line: int
    function: str
    arguments: str
    outcome: str


@dataclass(frozen=True)
class FinishedTest:
    """One test of the session: pytest's outcome, the seconds of all its phases, and the xdist worker that ran it.

    `allowed` is False for a test that is marked never to be run again, `fixable`
    for one that is never to be run with changed code.
    """

    nodeid: str
    outcome: str
    seconds: float
    worker: str = ""
    allowed: bool = True
    fixable: bool = True

    @property
    def quick(self) -> bool:
        """Whether it may be run again."""
        return self.allowed and self.seconds <= QUICK


@dataclass(frozen=True)
class Outcome:
    """One test that was run again: pytest's outcome of it, and what it executed where it was traced.

    A test that could not be collected again has the outcome MISSING, and `message` says why.

    `lines` maps each project file, relative to the root, to its executed lines,
    `steps` to pairs of lines that ran one after the other, 0 for the end of a call,
    `imported` to those that ran while tests were collected, the same for all
    tests of a run; `types` gives the names of the types that the variables of a
    function had, by its path and first line; `seconds` is the duration of all phases.
    `secrets` are values of secret-looking names up to then, to be removed from every text.
    """

    nodeid: str
    outcome: str
    seconds: float = 0.0
    exception: str = ""
    message: str = ""
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    steps: Mapping[str, frozenset[tuple[int, int]]] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    types: Mapping[tuple[str, int], Mapping[str, frozenset[str]]] = field(default_factory=dict)
    imported: Mapping[str, frozenset[int]] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"
