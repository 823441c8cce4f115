"""Collects the evidence on a cause before a model is asked."""

from __future__ import annotations

import ast
import dataclasses
import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage
from pytest_starcoder.explain.causes import cause_order, group_causes
from pytest_starcoder.explain.change_history import ChangeHistory
from pytest_starcoder.explain.excerpt import (
    CHANGE_ROOM,
    Excerpt,
    choose_excerpts,
    select_excerpts,
)
from pytest_starcoder.explain.explanation import Suspect
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.explain.line_features import (
    Execution,
    Line,
    Statement,
    failure_words,
    statement_around,
)
from pytest_starcoder.explain.replay import Replay, with_order
from pytest_starcoder.explain.suspicion import Ranking, ochiai, rank_lines, with_definitions
from pytest_starcoder.explain.unmet_expectations import block_of
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.checking_code import checks_in
from pytest_starcoder.source.functions import lines_of_tests
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.lines import line_of
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import counted, one_line

MAX_SUSPECTS = 10
"""Maximum number of lines that a report ranks."""

MAX_RETURNED = 2
"""Maximum number of calls on the failing line whose results are reported."""

MAX_IMPORTED = 60
"""Maximum number of files whose import-time lines are ranked."""


@dataclass(frozen=True)
class Case:
    """One cause and the evidence on it.

    `ranked` are lines, the most suspicious first; `scores` are the scores of those that ran;
    `changed` are sentences on executed lines with uncommitted changes or changes on the branch.
    `changed_code` is the code around the fix, or around the change that broke the test.
    `unsearched` is the reason not to search for a fix, if there is one.
    """

    cause: Cause
    replay: Replay = field(default_factory=Replay)
    ranked: tuple[Line, ...] = ()
    scores: Mapping[Line, float] = field(default_factory=dict)
    suspects: tuple[Suspect, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    fix: Fix | None = None
    changed: tuple[str, ...] = ()
    breakage: Breakage = NO_BREAKAGE
    changed_code: tuple[Excerpt, ...] = ()
    unsearched: str = ""

    def with_fix(self, fix: Fix, sources: SourceFiles) -> Case:
        """Return the case with a fix, and the code that it changes."""
        lines = [(edit.path, edit.line) for edit in fix.edits]
        code = self.changed_code or _code_around(lines, sources)
        return dataclasses.replace(self, fix=fix, changed_code=code)


def build_cases(
    causes: Sequence[Cause],
    replays: Sequence[Replay],
    sources: SourceFiles,
    history: History,
    test_files: Collection[str],
    deadline: Deadline | None = None,
    breakages: Sequence[Breakage] = (),
) -> list[Case]:
    """Return the cases of `causes`; causes that turn out to be the same share one case.

    `breakages` are the results of undoing changes, one for each cause, if that was done.
    After `deadline`, lines that only ran at import are left out: they are the least suspicious.
    """
    builder = _CaseBuilder(sources, ChangeHistory(history), test_files, deadline)
    breakages = breakages or [NO_BREAKAGE] * len(causes)
    causes, replays, breakages = _join_broken(causes, replays, breakages)
    executed = [_common_lines(replay) for replay in replays]
    cases = []
    for index, (cause, replay) in enumerate(zip(causes, replays, strict=True)):
        shared = _shared_lines(executed, {index})
        cases.append(builder.build(cause, replay, shared))
    joined = []
    for group in group_causes(causes, list(map(_prime_lines, cases))):
        case = cases[group[0]]
        if len(group) > 1:
            cause = _join_causes([causes[index] for index in group])
            replay = _join_replays([replays[index] for index in group])
            case = builder.build(cause, replay, _shared_lines(executed, group))
        joined.append(_add_breakage(case, [breakages[index] for index in group], sources))
    return sorted(joined, key=lambda case: cause_order(case.cause))


def _prime_lines(case: Case) -> tuple[Line, ...]:
    """Return the most suspicious line of those with the highest score, if tests have run again."""
    if not case.replay.failing:
        return ()  # a line from the traceback proves little
    executed = filter(case.scores.__contains__, case.ranked)
    best = max(executed, key=case.scores.__getitem__, default=None)
    return () if best is None else (best,)


def _join_broken(
    causes: Sequence[Cause], replays: Sequence[Replay], breakages: Sequence[Breakage]
) -> tuple[list[Cause], list[Replay], list[Breakage]]:
    """Join the causes that the same changes broke, however different their failures look."""
    groups: dict[object, list[int]] = {}
    for index, breakage in enumerate(breakages):
        groups.setdefault(breakage.pieces or index, []).append(index)
    joined_causes, joined_replays, joined_breakages = [], [], []
    for group in groups.values():
        first = group[0]
        cause, replay = causes[first], replays[first]
        if len(group) > 1:
            cause = _join_causes([causes[index] for index in group])
            replay = _join_replays([replays[index] for index in group])
        joined_causes.append(cause)
        joined_replays.append(replay)
        joined_breakages.append(breakages[first])
    return joined_causes, joined_replays, joined_breakages


def _add_breakage(case: Case, breakages: Sequence[Breakage], sources: SourceFiles) -> Case:
    """Add what undoing changes has shown; the lines of the change are the first suspects."""
    breakage = next((each for each in breakages if each.pieces), breakages[0])
    if breakage.after:
        replay = with_order(case.replay, breakage.after)
        case = dataclasses.replace(case, replay=replay)
    if not breakage.pieces:
        return dataclasses.replace(case, breakage=breakage)
    by_line = {(suspect.path, suspect.line): suspect for suspect in case.suspects}
    first: dict[Line, Suspect] = {}
    for piece in breakage.pieces:
        numbers = range(piece.line, piece.last + 1)
        executed = [number for number in numbers if (piece.path, number) in case.scores]
        # Lines that ran at import have no score, and neither has a `def`.
        for number in executed or numbers[:1]:
            line = piece.path, number
            score = round(case.scores.get(line, 0.0), 4)
            statement = one_line(line_of(sources(piece.path), number), 100)
            new = Suspect(piece.path, number, statement, score)
            first[line] = by_line.get(line, new)
    # What only ran at import cannot compete with what undoing has shown.
    others = [by_line[line] for line in by_line if line in case.scores and line not in first]
    suspects = [*first.values(), *others][:MAX_SUSPECTS]
    return dataclasses.replace(
        case,
        suspects=tuple(suspects),
        changed=(),  # a sentence on them says less than what undoing them has shown
        breakage=breakage,
        changed_code=_code_around(
            [(piece.path, piece.shown_line) for piece in breakage.pieces], sources
        ),
    )


def _code_around(lines: Sequence[Line], sources: SourceFiles) -> tuple[Excerpt, ...]:
    return tuple(select_excerpts(lines, sources, CHANGE_ROOM))


def _join_causes(causes: Sequence[Cause]) -> Cause:
    failures: list[Failure] = []
    for cause in causes:
        failures += cause.failures
    return Cause(tuple(failures))


def _common_lines(replay: Replay) -> set[Line]:
    """Return the lines that all failing tests of a cause executed."""
    runs = []
    for outcome in replay.failing:
        lines: set[Line] = set()
        for path, numbers in outcome.lines.items():
            lines.update((path, number) for number in numbers)
        runs.append(lines)
    return set.intersection(*runs) if runs else set()


def _shared_lines(executed: Sequence[set[Line]], group: Collection[int]) -> dict[Line, float]:
    """Return the share of the causes outside a group that executed each line, from 0 to 1."""
    total = 0
    counts: Counter[Line] = Counter()
    for index, lines in enumerate(executed):
        if lines and index not in group:
            total += 1
            counts.update(lines)
    return {line: count / total for line, count in counts.items()}


def _join_replays(replays: Sequence[Replay]) -> Replay:
    failing: list[Outcome] = []
    passing: dict[str, Outcome] = {}
    tests: set[str] = set()
    for replay in replays:
        failing += replay.failing
        tests |= replay.tests
        # Causes may share neighbours.
        for outcome in replay.passing:
            passing[outcome.nodeid] = outcome
    if not failing:
        # All of them depend on the order, or none could be run.
        first = next((replay for replay in replays if replay.order), replays[0])
        return dataclasses.replace(first, passing=tuple(passing.values()), tests=frozenset(tests))
    statement = f"{counted(len(failing), 'test')} failed again when rerun"
    if passing:
        statement += f"; {counted(len(passing), 'neighbour')} passed"
    return Replay(tuple(failing), tuple(passing.values()), (statement,), tests=frozenset(tests))


class _CaseBuilder:
    """Builds the cases of one report, and computes once what they share."""

    def __init__(
        self,
        sources: SourceFiles,
        changes: ChangeHistory,
        test_files: Collection[str],
        deadline: Deadline | None,
    ) -> None:
        self._sources = sources
        self._changes = changes
        self._test_files = test_files
        self._deadline = deadline
        self._expanded: dict[int, Outcome] = {}

    def build(self, cause: Cause, replay: Replay, shared: Mapping[Line, float]) -> Case:
        """Return the case of a cause; `shared` is the share of other causes that run a line."""
        failing = list(map(self._expand, replay.failing))
        passing = list(map(self._expand, replay.passing))
        if not failing:
            return self._build_without_replay(cause, replay, shared)
        failure = cause.first
        scores = ochiai(failing, passing)
        imported = self._imported_lines(failure, failing[0], scores) - set(scores)
        execution = Execution(scores, failing, passing, imported, self._recency(scores), shared)
        ranking = self._rank(failure, execution)
        suspects = []
        for line in self._suspicious_lines(_without_imported_end(ranking, scores)):
            suspects.append(self._suspect(line, scores.get(line, 0.0), len(passing)))
        statements = (*replay.statements, *self._returned_values(failure, failing[0]))
        replay = dataclasses.replace(replay, statements=statements)
        return Case(
            cause,
            replay,
            ranking.lines,
            scores,
            tuple(suspects),
            self._excerpts(failure, ranking),
            changed=self._changes.changed_lines(scores),
        )

    def _build_without_replay(
        self, cause: Cause, replay: Replay, shared: Mapping[Line, float]
    ) -> Case:
        """Return a case that ranks the lines of the functions on the traceback."""
        failure = cause.first
        scores = _traceback_scores(failure)
        execution = Execution(scores, recency=self._recency(scores), shared=shared)
        ranking = self._rank(failure, execution)
        return Case(
            cause,
            replay,
            ranking.lines,
            scores,
            excerpts=self._excerpts(failure, ranking),
            changed=self._changes.changed_lines(scores),
        )

    def _rank(self, failure: Failure, execution: Execution) -> Ranking:
        return rank_lines(failure, execution, self._sources, self._test_files, self._is_test)

    def _recency(self, scores: Mapping[Line, float]) -> dict[Line, float]:
        return self._changes.recency(self._paths_by_score(scores))

    def _excerpts(self, failure: Failure, ranking: Ranking) -> tuple[Excerpt, ...]:
        return tuple(choose_excerpts(failure, ranking, self._sources))

    def _expand(self, outcome: Outcome) -> Outcome:
        """Add definitions to an outcome, once per test: causes share neighbour tests."""
        if id(outcome) not in self._expanded:
            self._expanded[id(outcome)] = with_definitions(outcome, self._sources)
        return self._expanded[id(outcome)]

    def _paths_by_score(self, scores: Mapping[Line, float]) -> list[str]:
        """Return the executed files, the most suspicious first, and test files last."""
        best: dict[str, float] = {}
        for (path, _), score in scores.items():
            best[path] = max(best.get(path, 0.0), score)
        return sorted(best, key=lambda path: (path in self._test_files, -best[path], path))

    def _is_test(self, line: Line) -> bool:
        path, number = line
        return path in self._test_files and number in self._sources.derive(path, lines_of_tests)

    def _suspicious_lines(self, lines: Sequence[Line]) -> list[Line]:
        """Return one line of each statement that can be wrong, if possible no assertions."""
        # A line such as `else:` runs, but cannot be wrong.
        weighty: dict[Statement, Line] = {}
        for line in filter(self._has_weight, lines):
            weighty.setdefault(statement_around(*line, self._sources), line)
        # Lazily, because finding checks parses each file again.
        suspects = (line for line in weighty.values() if not self._is_check(line))
        first = list(islice(suspects, MAX_SUSPECTS))
        if first:
            return first
        return list(weighty.values() or lines)[:MAX_SUSPECTS]

    def _has_weight(self, line: Line) -> bool:
        path, number = line
        return number in self._sources.derive(path, index_lines).weights

    def _is_check(self, line: Line) -> bool:
        """Return whether a line is an assertion, or belongs to code that only checks."""
        path, number = line
        checks = self._sources.derive(path, checks_in)
        if number not in checks.lines:
            return False
        # Assertions in other code, and the conditions around them, are code like any other.
        is_checking = path in self._test_files or checks.prevail
        return is_checking or line_of(self._sources(path), number).lstrip().startswith("assert")

    def _suspect(self, line: Line, score: float, neighbours: int) -> Suspect:
        path, number = line
        reasons = []
        change = self._changes.describe(line)
        if change:
            reasons.append(change)
        if neighbours > 1 and score == 1.0:
            reasons.append(f"none of {neighbours} passing neighbours runs it")
        statement = one_line(line_of(self._sources(path), number), 100)
        return Suspect(path, number, statement, round(score, 4), tuple(reasons))

    def _imported_lines(
        self, failure: Failure, outcome: Outcome, scores: Collection[Line]
    ) -> set[Line]:
        """Return the lines that ran at import, of at most `MAX_IMPORTED` files."""
        if self._deadline is not None and self._deadline.remaining() <= 0:
            return set()
        paths = list(outcome.imported)
        # Ranking the lines of all imported files of a large project would take seconds.
        if len(paths) > MAX_IMPORTED:
            executed = {path for path, _ in scores}
            paths = self._related_files(failure, paths, executed)
        lines: set[Line] = set()
        for path in paths:
            index = self._sources.derive(path, index_lines)
            for number in index.whole_statements(outcome.imported[path]):
                lines.add((path, number))
        return lines

    def _returned_values(self, failure: Failure, outcome: Outcome) -> list[str]:
        """Return sentences on what the calls of the failing line returned in the replay."""
        if not failure.frames:
            return []
        frame = failure.frames[-1]
        _, first, last = statement_around(frame.path, frame.line, self._sources)
        names = set(_called_names(frame))
        has_late = any(call.late for call in outcome.calls)
        sentences: dict[str, None] = {}
        counts: Counter[str] = Counter()
        for call in outcome.calls:
            path, line = call.caller
            is_of_line = path == frame.path and first <= line <= last
            if not is_of_line or (has_late and not call.late):
                continue
            if call.function.rpartition(".")[2] in names and call.has_result:
                counts[call.function] += 1
                arguments = one_line(call.arguments, 80)
                result = one_line(call.outcome, 100)
                sentences[f"in the rerun, {call.function}({arguments}) {result}"] = None
        if not has_late and max(counts.values(), default=0) > 1:
            return []  # it is unknown in which execution the line failed
        # The last calls belong to the last execution of the line.
        return list(sentences)[-MAX_RETURNED:]

    def _related_files(
        self, failure: Failure, paths: Sequence[str], executed: Collection[str]
    ) -> list[str]:
        """Return the files that ran, then changed files, then those sharing most words."""
        words = failure_words(failure, self._sources)

        def rank(path: str) -> tuple[bool, bool, int, str]:
            text = self._sources(path).lower()
            shared = sum(word in text for word in words)
            return path not in executed, not self._changes.is_changed(path), -shared, path

        return heapq.nsmallest(MAX_IMPORTED, paths, key=rank)


def _called_names(frame: Frame) -> Iterator[str]:
    """Yield the names of the functions and methods that a statement calls."""
    # Without its colon, the head of a compound statement is more likely to parse.
    tree = syntax_tree(block_of(frame) or frame.statement.removesuffix(":"))
    if tree is None:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                yield name


def _without_imported_end(ranking: Ranking, scores: Mapping[Line, float]) -> list[Line]:
    """Return the lines without those that only ran at import and are the least suspicious."""
    lines = list(ranking.lines)
    while lines and lines[-1] not in scores:
        lines.pop()
    return lines


def _traceback_scores(failure: Failure) -> dict[Line, float]:
    """Return scores of the lines of functions on the traceback, the deepest function's highest.

    Functions that the failing line calls come after the deepest one.
    """
    scores: dict[Line, float] = {}
    frames = [*reversed(failure.frames)]
    # The functions that the deepest frame calls have already returned.
    frames[1:1] = failure.callees
    for distance, frame in enumerate(frames):
        last = frame.first_line + frame.source.count("\n")
        for number in range(frame.first_line, last + 1):
            scores.setdefault((frame.path, number), 1 / (distance + 2))
    for deepest in failure.frames[-1:]:
        scores[deepest.path, deepest.line] = 1.0
    return scores
