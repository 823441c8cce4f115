"""The score of a growing suite: the mutants it kills and the code it covers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Target, TargetKind
from pytest_starcoder.generate.executed_code import ExecutedCode, draft_modules
from pytest_starcoder.generate.goals import Place, find_branches, find_lines, find_mutants
from pytest_starcoder.generate.result import Counts, TargetScore
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.source.edits.edit import Edit

# Seconds of processor time that a test may take at least.
MIN_SECONDS = 0.5

# How much longer a test may take with a mutant.
SLOWDOWN = 4.0

# Mutants after which the deadline is looked at again.
MAX_BATCH = 64

# Estimated seconds of testing after which the deadline is looked at again.
BATCH_SECONDS = 2.0

# Characters of a living mutant that is described to a model.
MAX_GAP_LENGTH = 60

# Returns the text of a file by its path.
ReadSource = Callable[[str], str]


class SuiteScore:
    """Measures tests on `trials` by the mutants, lines and branches of `targets`.

    `mutants` are those of each target, `living` those that no test kills. `covered` are the
    places that tests reach.
    """

    def __init__(
        self, trials: Trials, targets: Sequence[Target], read: ReadSource, deadline: Deadline
    ) -> None:
        self._trials = trials
        self.targets = targets
        self._deadline = deadline
        self._sources = {target.path: read(target.path) for target in targets}
        self._branches: dict[Place, tuple[range, int]] = {}
        self._places = {target: self._find_places(target) for target in targets}
        self._all_places: set[Place] = set().union(*self._places.values())
        self.mutants = self._find_mutants()
        self.living: set[Edit] = set()
        for target, mutants in self.mutants.items():
            if target.kind is TargetKind.FUNCTION:
                self.living.update(mutants)
        self._counted = set(self.living)
        self.covered: set[Place] = set()
        self.reset(())

    def _find_places(self, target: Target) -> set[Place]:
        # Modules are imported once, before any draft: only their lines are known.
        if target.kind is TargetKind.MODULE:
            return find_lines(target)
        branches = find_branches(target)
        self._branches.update(branches)
        return find_lines(target).union(branches)

    def _find_mutants(self) -> dict[Target, list[Edit]]:
        """Return the mutants of each target that can be tried."""
        mutants: dict[Target, list[Edit]] = {}
        for path, source in self._sources.items():
            targets = [target for target in self.targets if target.path == path]
            mutants.update(find_mutants(source, targets))
        # Mutants that compile to the same code count once.
        every_mutant = list(chain(*mutants.values()))
        distinct = set(self._trials.distinct(every_mutant))
        for target, edits in mutants.items():
            mutants[target] = [edit for edit in edits if edit in distinct]
        return mutants

    # --- the code that tests cover ---

    def reset(self, tests: Iterable[ExecutedCode]) -> None:
        """Set the coverage to that of imports and of these tests."""
        imported = self._trials.ran_on_import
        self.covered = self.places_of([ExecutedCode(imported), *tests])
        for target in self.targets:
            # A plugin imported the module before its lines could be traced.
            if target.kind is TargetKind.MODULE and target.path not in imported:
                self.covered |= self._places[target]

    def places_of(self, tests: Iterable[ExecutedCode]) -> set[Place]:
        """Return the places of the targets that tests reach."""
        places: set[Place] = set()
        for test in tests:
            for place in self._all_places - places:
                if self._reaches(test, place):
                    places.add(place)
        return places

    def _reaches(self, test: ExecutedCode, place: Place) -> bool:
        if place.enters is None:
            return test.runs_line(place.path, place.line)
        head, body = self._branches[place]
        arcs = test.arcs.get(place.path, ())
        following = set()
        for before, after in arcs:
            if before in head:
                following.add(after)
        if place.enters:
            return body in following
        # A condition of several lines has arcs within itself.
        return not following <= {body, *head}

    # --- the mutants that tests kill ---

    def kills(
        self,
        mutants: Iterable[Edit],
        tests: Mapping[str, ExecutedCode],
        *,
        every: bool = True,
        share: float = 1.0,
    ) -> Iterator[tuple[Edit, Collection[str]]]:
        """Yield each mutant with the tests that kill it; only the first of them unless `every`.

        Only tests that execute the line of a mutant are run. Mutants that cannot be tried within
        that `share` of the remaining time are left out.
        """
        reserved = self._deadline.remaining() * (1 - share)
        for nodeids, group in _group_by_tests(mutants, tests).items():
            if not nodeids:
                # No test runs these lines, so none needs to be tried.
                for mutant in group:
                    yield mutant, ()
                continue
            chosen = [tests[nodeid] for nodeid in nodeids]
            drafts = draft_modules(chosen)
            limits = {nodeid: time_limit(tests[nodeid]) for nodeid in nodeids}
            size = _batch_size(chosen)
            for start in range(0, len(group), size):
                if self._deadline.remaining() <= reserved:
                    return
                batch = group[start : start + size]
                yield from self._trials.find_killers(batch, limits, drafts, every=every)

    def kills_by_test(
        self, mutants: Iterable[Edit], tests: Mapping[str, ExecutedCode]
    ) -> dict[str, set[Edit]]:
        """Return the mutants that each test kills."""
        kills: dict[str, set[Edit]] = {nodeid: set() for nodeid in tests}
        for mutant, nodeids in self.kills(mutants, tests):
            for nodeid in nodeids:
                kills[nodeid].add(mutant)
        return kills

    def ignore(self, mutants: set[Edit]) -> None:
        """Leave some mutants out of all counts."""
        self._counted -= mutants
        self.living -= mutants

    def mutants_executed_by(self, tests: Collection[ExecutedCode]) -> list[Edit]:
        """Return the mutants on executed lines, those of private functions included."""
        executed = []
        for mutant in chain(*self.mutants.values()):
            if any(test.runs_line(mutant.path, mutant.line) for test in tests):
                executed.append(mutant)
        return executed

    def living_in(self, target: Target) -> list[Edit]:
        return [mutant for mutant in self.mutants[target] if mutant in self.living]

    # --- the result ---

    def gaps(self, target: Target) -> list[str]:
        """Describe what no test reaches in a target by its source, without line numbers.

        Line numbers would change with other lines, and a prompt with them.
        """
        gaps = self._missed_places(target)
        for mutant in self.living_in(target):
            if len(mutant.after) < MAX_GAP_LENGTH:
                gaps.append(f"`{mutant.after}` instead of `{mutant.before}`")
        return gaps

    def _missed_places(self, target: Target) -> list[str]:
        source = self._sources[target.path].split("\n")
        missed = self._places[target] - self.covered
        lines = []
        branches = []
        for place in sorted(missed, key=lambda place: (place.line, place.enters is True)):
            code = source[place.line - 1].strip()
            if place.enters is None:
                lines.append(f"the line `{code}`")
            elif place._replace(enters=None) not in missed:
                outcome = "entered" if place.enters else "passed by"
                branches.append(f"`{code}` {outcome}")
        return lines + branches

    def counts(self) -> dict[Target, Counts]:
        """Return the numbers of killed mutants and covered places by target."""
        killed = self._counted - self.living
        counts = {}
        for target in self.targets:
            counts[target] = self._count(target, killed, self.covered)
        return counts

    def scores(self, before: Mapping[Target, Counts]) -> Iterator[TargetScore]:
        """Yield the score of each target beside its counts `before`."""
        after = self.counts()
        for target in self.targets:
            # The methods of a class are targets of their own.
            if target.kind is not TargetKind.CLASS:
                total = self._count(target, self._counted, self._all_places)
                living = tuple(self.living_in(target))
                yield TargetScore(target, total, before[target], after[target], living)

    def _count(self, target: Target, mutants: set[Edit], places: set[Place]) -> Counts:
        in_target = mutants.intersection(self.mutants[target])
        lines = branches = 0
        for place in self._places[target] & places:
            if place.enters is None:
                lines += 1
            else:
                branches += 1
        return Counts(len(in_target), lines, branches)


def _batch_size(tests: Collection[ExecutedCode]) -> int:
    """Return how many mutants to try with some tests before the deadline is looked at again."""
    seconds = max(0.01, sum(test.seconds for test in tests))
    # A slow suite gets small batches, so that the deadline is not missed by much.
    affordable = int(BATCH_SECONDS / seconds)
    return min(MAX_BATCH, 1 + affordable)


def time_limit(executed: ExecutedCode) -> float:
    """Return the seconds of processor time that a test may take with a mutant."""
    return max(MIN_SECONDS, SLOWDOWN * executed.seconds)


def _group_by_tests(
    mutants: Iterable[Edit], tests: Mapping[str, ExecutedCode]
) -> dict[tuple[str, ...], list[Edit]]:
    """Group mutants by the tests that execute their line."""
    groups: dict[tuple[str, ...], list[Edit]] = {}
    for mutant in sorted(mutants, key=position):
        nodeids = []
        for nodeid, test in tests.items():
            if test.runs_line(mutant.path, mutant.line):
                nodeids.append(nodeid)
        groups.setdefault(tuple(nodeids), []).append(mutant)
    return groups


def position(edit: Edit) -> tuple[int, int]:
    """Return the key that sorts edits as they are in the source."""
    return edit.span
