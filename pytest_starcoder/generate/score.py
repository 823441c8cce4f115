"""What tests find so far: the mutants they kill, the lines and branches they run, and what is left to find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Branch, Draft, Kind, Target
from pytest_starcoder.generate.mutants import branches_of, lines_of, mutants_of
from pytest_starcoder.generate.result import Tally
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.source.edits.edit import Edit

AT_ONCE, LOOKING = 64, 2.0
"""Mutants, and about how many seconds, after which the time is looked at again."""

LONGER = 4.0
"""How much longer than with the code as it is a test may take."""

Sources = Callable[[str], str]
"""The text of a file, by its path."""

Modules = Mapping[str, tuple[str, str]]
"""Drafts as modules, path and source, by the node ids of their tests."""


def module_of(draft: Draft) -> tuple[str, str]:
    """The path and the source of a draft as a module that is no file, beside the file it would go into."""
    return PurePosixPath(
        folder_of(draft.target), f"{draft.name}_drafted.py"
    ).as_posix(), draft.source


def folder_of(target: Target) -> str:
    """Where the tests of a target stand."""
    return PurePosixPath(target.tests.partition("::")[0]).parent.as_posix()


def nodeid_of(draft: Draft) -> str:
    return f"{module_of(draft)[0]}::{draft.name}"


@dataclass(frozen=True)
class Executed:
    """What one test executes: lines by path, which of them ran one after the other, and in how many seconds."""

    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    steps: Mapping[str, frozenset[tuple[int, int]]] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of_all(cls, tests: Iterable[Executed]) -> Executed:
        """What several tests execute."""
        lines: dict[str, frozenset[int]] = {}
        steps: dict[str, frozenset[tuple[int, int]]] = {}
        for test in tests:
            for path, numbers in test.lines.items():
                lines[path] = lines.get(path, frozenset()) | numbers
            for path, pairs in test.steps.items():
                steps[path] = steps.get(path, frozenset()) | pairs
        return cls(lines, steps)

    def runs(self, target: Target) -> bool:
        return bool(
            self.lines.get(target.path, frozenset())
            & frozenset(range(target.first, target.last + 1))
        )


@dataclass(frozen=True)
class New:
    """What a test would add, of the lines and branches of the targets."""

    lines: frozenset[tuple[str, int]] = frozenset()
    branches: frozenset[tuple[str, Branch]] = frozenset()

    def __len__(self) -> int:
        return len(self.lines) + len(self.branches)


class Score:
    """Of `targets`, by running tests on `trials`, those that are quick for `limit` seconds of processor time each."""

    def __init__(
        self,
        trials: Trials,
        targets: Sequence[Target],
        sources: Sources,
        deadline: Deadline,
        limit: float,
    ) -> None:
        self._trials = trials
        self._targets = targets
        self._deadline = deadline
        self._limit = limit
        self._texts = {target.path: sources(target.path) for target in targets}
        mutants: dict[Edit, Target] = {}
        self._heads: dict[str, dict[Branch, tuple[range, int]]] = {}
        self._lines: dict[Target, frozenset[int]] = {}
        self._branches: dict[Target, frozenset[Branch]] = {}
        for path, source in self._texts.items():
            own = [target for target in targets if target.path == path]
            mutants |= {
                mutant: target
                for target, found in mutants_of(source, own).items()
                for mutant in found
            }
            for target in own:
                # Importing happens once, and by tests that are there: of a module lines are all that is known.
                heads = {} if target.kind is Kind.MODULE else branches_of(source, target)
                self._heads.setdefault(path, {}).update(heads)
                self._lines[target] = lines_of(source, target)
                self._branches[target] = frozenset(heads)
        fit = set(trials.distinct(list(mutants)))
        self._every = {mutant: target for mutant, target in mutants.items() if mutant in fit}
        self.living = {
            mutant for mutant, target in self._every.items() if target.kind is Kind.FUNCTION
        }
        self._counted = frozenset(self.living)
        self._covered: dict[str, set[int]] = {}
        self._taken: dict[str, set[Branch]] = {}
        self.count({})

    # --- what tests find ---

    def count(self, tests: Mapping[str, Executed]) -> None:
        """Counts what these tests execute, and what importing does; what was counted before is forgotten."""
        imported = self._trials.ran_on_import
        self._covered = {path: set(imported.get(path, ())) for path in self._texts}
        self._taken = {path: set() for path in self._texts}
        for target in self._targets:
            if (
                target.kind is Kind.MODULE and target.path not in imported
            ):  # before it could be looked at
                self._covered[target.path] |= self._lines[target]
        self.add(tests)

    def add(self, tests: Mapping[str, Executed]) -> None:
        """Counts what tests execute besides."""
        for executed in tests.values():
            for path in self._texts:
                self._covered[path] |= executed.lines.get(path, frozenset())
                self._taken[path] |= self._ways(path, executed)

    def new(self, executed: Executed) -> New:
        """What of the targets a test executes that none has yet."""
        lines, branches = set(), set()
        for target in self._targets:
            path = target.path
            own = executed.lines.get(path, frozenset()) & self._lines[target] - self._covered[path]
            lines |= {(path, line) for line in own}
            ways = self._ways(path, executed) & self._branches[target] - self._taken[path]
            branches |= {(path, way) for way in ways}
        return New(frozenset(lines), frozenset(branches))

    def kills(
        self,
        mutants: Sequence[Edit],
        tests: Mapping[str, Executed],
        modules: Modules,
        *,
        every: bool = True,
        share: float = 1.0,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        """Which of the tests kills each mutant: only those can that run its line, and they are run alone.

        Only the first of them is told unless `every`. Mutants that could not be
        tried in that `share` of the time are left out.
        """
        over = self._deadline.remaining() * (1 - share)
        groups: dict[tuple[str, ...], list[Edit]] = {}
        for mutant in sorted(mutants, key=lambda edit: edit.span):
            own = tuple(
                nodeid
                for nodeid, executed in tests.items()
                if mutant.line in executed.lines.get(mutant.path, ())
            )
            groups.setdefault(own, []).append(mutant)
        for own, group in groups.items():
            if not own:
                yield from ((mutant, frozenset()) for mutant in group)
                continue
            drafts = list(dict.fromkeys(modules[nodeid] for nodeid in own if nodeid in modules))
            limits = {nodeid: self.limit(tests[nodeid]) for nodeid in own}
            seconds = sum(tests[nodeid].seconds for nodeid in own)
            some = min(AT_ONCE, 1 + int(LOOKING / max(0.01, seconds)))
            for start in range(0, len(group), some):
                if self._deadline.remaining() <= over:
                    return
                yield from self._trials.find_killers(
                    group[start : start + some], limits, drafts, every=every
                )

    def forget(self, mutants: Iterable[Edit]) -> None:
        """Counts some mutants no more, of which nothing is known."""
        self._counted -= frozenset(mutants)
        self.living -= set(mutants)

    def limit(self, executed: Executed) -> float:
        """Seconds of processor time for a test, by what it took: with a mutant it may take longer."""
        return max(self._limit, LONGER * executed.seconds)

    def executed_by(self, executed: Executed) -> list[Edit]:
        """The mutants, those of private functions too, on the lines that a test executes."""
        return [
            mutant for mutant in self._every if mutant.line in executed.lines.get(mutant.path, ())
        ]

    def _ways(self, path: str, executed: Executed) -> frozenset[Branch]:
        steps = executed.steps.get(path, frozenset())
        return frozenset(
            way
            for way, (head, body) in self._heads.get(path, {}).items()
            if any(
                before in head and (after == body if way[1] else after not in (body, *head))
                for before, after in steps
            )
        )

    # --- what is left ---

    def mutant_of(self, target: Target) -> Edit | None:
        """One mutant of a target, alive or not."""
        return next((mutant for mutant, own in self._every.items() if own == target), None)

    def living_in(self, target: Target) -> list[Edit]:
        return sorted(
            (edit for edit in self.living if self._every[edit] == target),
            key=lambda edit: edit.span,
        )

    def gaps(self, target: Target) -> list[str]:
        """What no test finds in a target, in the words of its source: line numbers change with other lines."""
        lines = self._texts[target.path].split("\n")
        uncovered = sorted(self._lines[target] - self._covered[target.path])
        ways = sorted(self._branches[target] - self._taken[target.path])
        told = [f"the line `{lines[line - 1].strip()}`" for line in uncovered]
        told += [
            f"`{lines[line - 1].strip()}` {'entered' if way else 'passed by'}"
            for line, way in ways
            if line not in uncovered
        ]
        living = [edit for edit in self.living_in(target) if len(edit.after) < 60]
        return told + [f"`{edit.after}` in the place of `{edit.before}`" for edit in living]

    def state(self) -> tuple[set[Edit], dict[str, set[int]], dict[str, set[Branch]]]:
        """What is alive and what has run, as a copy."""
        return (
            set(self.living),
            {path: set(lines) for path, lines in self._covered.items()},
            {path: set(ways) for path, ways in self._taken.items()},
        )

    def tallies(
        self, before: tuple[set[Edit], dict[str, set[int]], dict[str, set[Branch]]]
    ) -> Iterator[Tally]:
        """What has come of each target since `before`."""
        living, covered, taken = before
        for target in self._targets:
            if target.kind is Kind.CLASS:
                continue
            own = [mutant for mutant in self._counted if self._every[mutant] == target]
            lines, ways, path = self._lines[target], self._branches[target], target.path
            yield Tally(
                target,
                mutants=len(own),
                killed_before=sum(mutant not in living for mutant in own),
                killed=sum(mutant not in self.living for mutant in own),
                lines=len(lines),
                covered_before=len(lines & covered[path]),
                covered=len(lines & self._covered[path]),
                branches=len(ways),
                taken_before=len(ways & taken[path]),
                taken=len(ways & self._taken[path]),
                living=tuple(self.living_in(target)),
            )
