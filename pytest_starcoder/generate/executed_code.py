"""The code that tests execute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_starcoder.generate.draft import Branch, Draft, Target
from pytest_starcoder.runner.messages import Judgement

Lines = Mapping[str, frozenset[int]]
"""Line numbers by path."""

Arcs = Mapping[str, frozenset[tuple[int, int]]]
"""Pairs of lines that ran one after the other, by path; 0 is the end of a call."""


@dataclass(frozen=True)
class ExecutedCode:
    """The code that one test, or several, execute, and in how many seconds.

    `draft` is the draft that the test belongs to, None for a test of the suite.
    """

    lines: Lines = field(default_factory=dict)
    arcs: Arcs = field(default_factory=dict)
    seconds: float = 0.0
    draft: Draft | None = None

    @classmethod
    def of_tests(cls, tests: Iterable[ExecutedCode]) -> ExecutedCode:
        """Combine the code that several tests execute."""
        lines: dict[str, frozenset[int]] = {}
        arcs: dict[str, frozenset[tuple[int, int]]] = {}
        for test in tests:
            for path, numbers in test.lines.items():
                lines[path] = lines.get(path, frozenset()) | numbers
            for path, pairs in test.arcs.items():
                arcs[path] = arcs.get(path, frozenset()) | pairs
        return cls(lines, arcs)

    def runs_line(self, path: str, line: int) -> bool:
        return line in self.lines.get(path, ())

    def calls(self, target: Target) -> bool:
        """Return whether any line of a target is executed."""
        numbers = range(target.first, target.last + 1)
        return not self.lines.get(target.path, frozenset()).isdisjoint(numbers)


@dataclass(frozen=True)
class Coverage:
    """Lines and branches of the targets, with their paths."""

    lines: frozenset[tuple[str, int]] = frozenset()
    branches: frozenset[tuple[str, Branch]] = frozenset()

    def __len__(self) -> int:
        return len(self.lines) + len(self.branches)

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage(self.lines | other.lines, self.branches | other.branches)

    def __and__(self, other: Coverage) -> Coverage:
        return Coverage(self.lines & other.lines, self.branches & other.branches)

    def __sub__(self, other: Coverage) -> Coverage:
        return Coverage(self.lines - other.lines, self.branches - other.branches)


@dataclass(frozen=True)
class JudgedDraft:
    """A draft that was run, and the code that it executes.

    `tests` has an entry for each set of parameters of a parametrized draft.
    """

    draft: Draft
    judgement: Judgement
    tests: Mapping[str, ExecutedCode]
    executed: ExecutedCode

    @classmethod
    def of(cls, draft: Draft, judgement: Judgement) -> JudgedDraft:
        seconds = {}
        for record in judgement.rounds[0] if judgement.rounds else ():
            seconds[record.nodeid] = record.seconds
        tests = {
            nodeid: ExecutedCode(lines, judgement.steps[nodeid], seconds[nodeid], draft)
            for nodeid, lines in judgement.lines.items()
        }
        return cls(draft, judgement, tests, ExecutedCode.of_tests(tests.values()))
