"""The code that tests execute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from pytest_starcoder.generate.draft import Draft, Target
from pytest_starcoder.runner.worker_messages import Judgement

# Line numbers by path.
Lines = Mapping[str, frozenset[int]]

# Pairs of lines that ran one after the other, by path; 0 is the end of a call.
Arcs = Mapping[str, frozenset[tuple[int, int]]]


@dataclass(frozen=True)
class ExecutedCode:
    """The code that one test executes, and in how many seconds.

    `draft` is the draft that the test belongs to, None for a test of the suite.
    """

    lines: Lines = field(default_factory=dict)
    arcs: Arcs = field(default_factory=dict)
    seconds: float = 0.0
    draft: Draft | None = None

    def runs_line(self, path: str, line: int) -> bool:
        return line in self.lines.get(path, ())

    def calls(self, target: Target) -> bool:
        """Return whether any line of a target is executed."""
        lines = self.lines.get(target.path, frozenset())
        return not lines.isdisjoint(range(target.first, target.last + 1))


@dataclass(frozen=True)
class JudgedDraft:
    """A draft that was run, and the code that it executes, by the node ids of its tests.

    A parametrized draft has several tests.
    """

    draft: Draft
    judgement: Judgement
    tests: Mapping[str, ExecutedCode]

    @classmethod
    def of(cls, draft: Draft, judgement: Judgement) -> JudgedDraft:
        seconds = {}
        # Only the first round is traced; without an outcome there is none.
        for record in chain(*judgement.rounds[:1]):
            seconds[record.nodeid] = record.seconds
        tests = {}
        for nodeid, lines in judgement.lines.items():
            tests[nodeid] = ExecutedCode(lines, judgement.arcs[nodeid], seconds[nodeid], draft)
        return cls(draft, judgement, tests)

    @property
    def calls_target(self) -> bool:
        return any(executed.calls(self.draft.target) for executed in self.tests.values())


def draft_modules(tests: Iterable[ExecutedCode]) -> list[tuple[str, str]]:
    """Return the modules of the drafts among tests, each once."""
    modules: dict[tuple[str, str], None] = {}
    for test in tests:
        if test.draft:
            modules[test.draft.module] = None
    return list(modules)
