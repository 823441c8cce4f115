"""The score of a growing suite: the mutants it kills and the code it covers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Branch, Target, TargetKind
from pytest_starcoder.generate.executed_code import Coverage, ExecutedCode
from pytest_starcoder.generate.mutants import find_branches, find_mutants, statement_lines
from pytest_starcoder.generate.result import Counts, TargetScore
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.source.edits.edit import Edit

MIN_SECONDS = 0.5
"""Seconds of processor time that a test may take at least."""

SLOWDOWN = 4.0
"""How much longer a test may take with a mutant."""

MAX_BATCH = 64
"""Mutants after which the deadline is looked at again."""

BATCH_SECONDS = 2.0
"""Estimated seconds of testing after which the deadline is looked at again."""

MAX_GAP_LENGTH = 60
"""Characters of a living mutant that is described to a model."""

ReadSource = Callable[[str], str]
"""Returns the text of a file by its path."""


class SuiteScore:
    """Measures tests on `trials` by the mutants, lines and branches of `targets`.

    `living` are the mutants that no test kills; `coverage` is the code that tests execute.
    """

    def __init__(
        self, trials: Trials, targets: Sequence[Target], read: ReadSource, deadline: Deadline
    ) -> None:
        self._trials = trials
        self._targets = targets
        self._deadline = deadline
        self._sources = {target.path: read(target.path) for target in targets}
        self._heads: dict[tuple[str, Branch], tuple[range, int]] = {}
        self._code = {target: self._code_of(target) for target in targets}
        self._all_code = Coverage()
        for code in self._code.values():
            self._all_code |= code
        self._target_by_mutant = self._find_mutants()
        self.living = {
            mutant
            for mutant, target in self._target_by_mutant.items()
            if target.kind is TargetKind.FUNCTION
        }
        self._counted = frozenset(self.living)
        self.coverage = Coverage()
        self.reset({})

    def _code_of(self, target: Target) -> Coverage:
        path = target.path
        branches = {}
        # Modules are imported once, before any draft: only their lines are known.
        if target.kind is not TargetKind.MODULE:
            branches = {(path, way): head for way, head in find_branches(target).items()}
        self._heads.update(branches)
        lines = frozenset((path, line) for line in statement_lines(target))
        return Coverage(lines, frozenset(branches))

    def _find_mutants(self) -> dict[Edit, Target]:
        """Map the mutants that can be tried to their targets."""
        mutants: dict[Edit, Target] = {}
        for path, source in self._sources.items():
            targets = [target for target in self._targets if target.path == path]
            for target, edits in find_mutants(source, targets).items():
                mutants.update(dict.fromkeys(edits, target))
        distinct = self._trials.distinct(list(mutants))
        return {mutant: mutants[mutant] for mutant in distinct}

    # --- the code that tests cover ---

    def reset(self, tests: Mapping[str, ExecutedCode]) -> None:
        """Forget all coverage but that of imports and of these tests."""
        imported = self._trials.ran_on_import
        self.coverage = self.coverage_of(ExecutedCode(imported))
        for target in self._targets:
            # A plugin imported the module before its lines could be traced.
            if target.kind is TargetKind.MODULE and target.path not in imported:
                self.coverage |= self._code[target]
        self.add(tests)

    def add(self, tests: Mapping[str, ExecutedCode]) -> None:
        """Add the coverage of these tests."""
        for executed in tests.values():
            self.coverage |= self.coverage_of(executed)

    def coverage_of(self, executed: ExecutedCode) -> Coverage:
        """Return the lines and branches of the targets that are executed."""
        lines = [line for line in self._all_code.lines if executed.runs_line(*line)]
        branches = []
        for (path, branch), (head, body) in self._heads.items():
            arcs = executed.arcs.get(path, ())
            if any(_takes_branch(arc, head, body, enters=branch[1]) for arc in arcs):
                branches.append((path, branch))
        return Coverage(frozenset(lines), frozenset(branches))

    # --- the mutants that tests kill ---

    def kills(
        self,
        mutants: Iterable[Edit],
        tests: Mapping[str, ExecutedCode],
        *,
        every: bool = True,
        share: float = 1.0,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        """Yield each mutant with the tests that kill it; only the first of them unless `every`.

        Only tests that execute the line of a mutant are run. Mutants that cannot be tried within
        that `share` of the remaining time are left out.
        """
        reserved = self._deadline.remaining() * (1 - share)
        for nodeids, group in _group_by_tests(mutants, tests).items():
            if not nodeids:
                yield from ((mutant, frozenset()) for mutant in group)
                continue
            drafts = draft_modules(tests[nodeid] for nodeid in nodeids)
            limits = {nodeid: time_limit(tests[nodeid]) for nodeid in nodeids}
            seconds = sum(tests[nodeid].seconds for nodeid in nodeids)
            size = min(MAX_BATCH, 1 + int(BATCH_SECONDS / max(0.01, seconds)))
            for start in range(0, len(group), size):
                if self._deadline.remaining() <= reserved:
                    return
                batch = group[start : start + size]
                yield from self._trials.find_killers(batch, limits, drafts, every=every)

    def ignore(self, mutants: Iterable[Edit]) -> None:
        """Count some mutants no more."""
        self._counted = self._counted.difference(mutants)
        self.living.difference_update(mutants)

    def mutants_executed_by(self, executed: ExecutedCode) -> list[Edit]:
        """Return the mutants on executed lines, those of private functions included."""
        return [
            mutant
            for mutant in self._target_by_mutant
            if executed.runs_line(mutant.path, mutant.line)
        ]

    def mutants_of(self, target: Target) -> list[Edit]:
        return [mutant for mutant, owner in self._target_by_mutant.items() if owner == target]

    def living_in(self, target: Target) -> list[Edit]:
        living = [mutant for mutant in self.living if self._target_by_mutant[mutant] == target]
        return sorted(living, key=position)

    # --- the result ---

    def gaps(self, target: Target) -> list[str]:
        """Describe what no test reaches in a target by its source, without line numbers.

        Line numbers would change with other lines, and a prompt with them.
        """
        lines = self._sources[target.path].split("\n")
        missed = self._code[target] - self.coverage
        numbers = {line for _, line in missed.lines}
        gaps = [f"the line `{lines[number - 1].strip()}`" for number in sorted(numbers)]
        for _, (number, enters) in sorted(missed.branches):
            if number not in numbers:
                outcome = "entered" if enters else "passed by"
                gaps.append(f"`{lines[number - 1].strip()}` {outcome}")
        for mutant in self.living_in(target):
            if len(mutant.after) < MAX_GAP_LENGTH:
                gaps.append(f"`{mutant.after}` in the place of `{mutant.before}`")
        return gaps

    def counts(self) -> dict[Target, Counts]:
        """Return the numbers of killed mutants and covered lines and branches by target."""
        killed = self._counted - self.living
        return {target: self._count(target, killed, self.coverage) for target in self._targets}

    def scores(self, before: Mapping[Target, Counts]) -> Iterator[TargetScore]:
        """Yield the score of each target beside its counts `before`."""
        after = self.counts()
        for target in self._targets:
            if target.kind is not TargetKind.CLASS:
                total = self._count(target, self._counted, self._all_code)
                living = tuple(self.living_in(target))
                yield TargetScore(target, total, before[target], after[target], living)

    def _count(self, target: Target, mutants: frozenset[Edit], coverage: Coverage) -> Counts:
        code = self._code[target] & coverage
        in_target = [mutant for mutant in mutants if self._target_by_mutant[mutant] == target]
        return Counts(len(in_target), len(code.lines), len(code.branches))


def time_limit(executed: ExecutedCode) -> float:
    """Return the seconds of processor time that a test may take with a mutant."""
    return max(MIN_SECONDS, SLOWDOWN * executed.seconds)


def draft_modules(tests: Iterable[ExecutedCode]) -> list[tuple[str, str]]:
    """Return the modules of the drafts among tests, each once."""
    return list(dict.fromkeys(test.draft.module for test in tests if test.draft))


def _group_by_tests(
    mutants: Iterable[Edit], tests: Mapping[str, ExecutedCode]
) -> dict[tuple[str, ...], list[Edit]]:
    """Group mutants by the tests that execute their line."""
    groups: dict[tuple[str, ...], list[Edit]] = {}
    for mutant in sorted(mutants, key=position):
        nodeids = tuple(
            nodeid
            for nodeid, executed in tests.items()
            if executed.runs_line(mutant.path, mutant.line)
        )
        groups.setdefault(nodeids, []).append(mutant)
    return groups


def position(edit: Edit) -> tuple[int, int]:
    """Return the key that sorts edits as they are in the source."""
    return edit.span


def _takes_branch(arc: tuple[int, int], head: range, body: int, *, enters: bool) -> bool:
    """Return whether an arc leads from the head of a statement into its body, or past it."""
    before, after = arc
    if before not in head:
        return False
    return after == body if enters else after != body and after not in head
