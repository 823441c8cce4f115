"""Everything that is known of a cause before a model is asked: causes and their replays in, cases out."""

from __future__ import annotations

import ast
import dataclasses
import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.causes import largest_first, united
from pytest_starcoder.explain.excerpt import ROOM, Excerpt, excerpts, room_for
from pytest_starcoder.explain.explanation import Suspect
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.explain.suspicion import (
    Line,
    defined_too,
    ochiai,
    ranked,
    telling,
    words_of_failure,
)
from pytest_starcoder.runner.fixes import Fix
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.checking_code import checks_in
from pytest_starcoder.source.git.history import History, LineOrigin
from pytest_starcoder.source.lines import definitions, line_of, lines_of_tests, whole_statements
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import counted, one_line

SUSPECTS = 10
"""Lines that a report ranks at the most."""

RETURNED = 2
"""Calls on the failing line whose outcome is told."""

TELLING = 60
"""Lines that say what the failing test says, of which the code that is shown is chosen."""

IMPORTED = 60
"""Maximum number of files whose import-time lines are ranked."""

DAY = 86_400.0

RECENT = 14 * DAY
"""Seconds within which a commit is told of."""

YOUNG = 90 * DAY
"""Seconds within which a commit breaks ties."""

BLAMED = 3
"""Files of a cause whose lines' age is asked for."""


@dataclass(frozen=True)
class Case:
    """One cause with all the evidence about it.

    `ranked` are lines, most suspicious first.
    """

    cause: Cause
    replay: Replay = field(default_factory=Replay)
    ranked: tuple[Line, ...] = ()
    scores: Mapping[Line, float] = field(default_factory=dict)
    suspects: tuple[Suspect, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    fix: Fix | None = None
    changed: tuple[str, ...] = ()
    """Sentences on executed lines that are not as they were committed."""


def cases(
    causes: Sequence[Cause],
    replays: Sequence[Replay],
    sources: SourceFiles,
    history: History,
    test_files: Collection[str],
    deadline: Deadline | None = None,
) -> list[Case]:
    """Return the cases of `causes`; causes that turn out to be the same share one case.

    After `deadline`, lines that only ran at import are left out: they are the least suspicious.
    """
    working = _Working(sources, Changes(history), test_files, deadline)
    runs = [_counts_of(found) for found in replays]

    def elsewhere(numbers: Collection[int]) -> dict[Line, float]:
        others = [run for number, run in enumerate(runs) if run and number not in numbers]
        counts = Counter(line for run in others for line in run)
        return {line: count / len(others) for line, count in counts.items()}

    found = [
        working.case(cause, replayed, elsewhere({number}))
        for number, (cause, replayed) in enumerate(zip(causes, replays, strict=True))
    ]
    prime = [case.ranked[:1] if case.replay.failing else () for case in found]
    together = []
    for group in united(causes, prime):
        if len(group) > 1:
            cause = Cause(tuple(failure for number in group for failure in causes[number].failures))
            joined = _joined([replays[number] for number in group])
            together.append(working.case(cause, joined, elsewhere(group)))
        else:
            together.append(found[group[0]])
    order = {
        cause: number for number, cause in enumerate(largest_first(case.cause for case in together))
    }
    return sorted(together, key=lambda case: order[case.cause])


def _counts_of(replayed: Replay) -> set[Line]:
    """The lines that all failing tests of a cause run."""
    runs = [
        {(path, n) for path, numbers in found.lines.items() for n in numbers}
        for found in replayed.failing
    ]
    return set.intersection(*runs) if runs else set()


def _joined(replays: Sequence[Replay]) -> Replay:
    """What the replays of one cause's tests have shown together."""
    passing = {outcome.nodeid: outcome for found in replays for outcome in found.passing}
    failing = tuple(outcome for found in replays for outcome in found.failing)
    told = f"{counted(len(failing), 'test')} failed again when they were run again"
    if passing:
        told += f"; {counted(len(passing), 'neighbour')} passed"
    tests = frozenset().union(*(found.tests for found in replays))
    return Replay(failing, tuple(passing.values()), (told,), (), tests)


class _Working:
    """Values shared by the cases of one report, each computed once."""

    def __init__(
        self,
        sources: SourceFiles,
        changes: Changes,
        test_files: Collection[str],
        deadline: Deadline | None,
    ) -> None:
        self._sources = sources
        self._changes = changes
        self._test_files = test_files
        self._deadline = deadline
        self._whole: dict[int, Outcome] = {}

    def case(self, cause: Cause, replay: Replay, elsewhere: Mapping[Line, float]) -> Case:
        """Return the case of a cause; `elsewhere` tells which other causes run a line."""
        sources = self._sources
        failing, passing = (
            [*map(self._defined, replay.failing)],
            [*map(self._defined, replay.passing)],
        )
        scores = ochiai(failing, passing) if failing else _static(cause.first)
        imported = self._imported(cause.first, failing[0], scores) if failing else set()
        best: dict[str, float] = {}
        for (path, _), score in scores.items():
            best[path] = max(best.get(path, 0.0), score)
        age = self._changes.ages(
            sorted(best, key=lambda path: (path in self._test_files, -best[path], path))
        )
        ranking = ranked(
            cause.first, scores, sources, age, self._is_test, imported - set(scores), elsewhere
        )
        room = room_for(cause.first.exception, ranking.lines, scores) if failing else ROOM
        if failing:
            replay = dataclasses.replace(
                replay, statements=(*replay.statements, *_returned(cause.first, failing[0]))
            )
        suspects = (
            self._suspects([line for line in ranking.lines if line in scores]) if failing else []
        )
        return Case(
            cause,
            replay,
            ranking.lines,
            scores,
            tuple(
                _suspect(line, scores, sources, self._changes, len(passing)) for line in suspects
            ),
            tuple(
                excerpts(
                    ranking.lines, scores, sources, telling(ranking, scores, sources, TELLING), room
                )
            ),
            changed=self._changes.told(scores),
        )

    def _defined(self, outcome: Outcome) -> Outcome:
        """Return `defined_too`, computed once per test: causes share neighbour tests."""
        if id(outcome) not in self._whole:
            self._whole[id(outcome)] = defined_too(outcome, self._sources)
        return self._whole[id(outcome)]

    def _is_test(self, line: Line) -> bool:
        path, number = line
        return path in self._test_files and number in self._sources.derive(path, lines_of_tests)

    def _suspects(self, lines: Sequence[Line]) -> list[Line]:
        """Return the first of `lines` that can be wrong, preferably no assertion in code."""

        def weighs(line: Line) -> bool:
            return line[1] in self._sources.derive(line[0], definitions).weights

        working = filter(
            lambda line: (
                weighs(line) and line[1] not in self._sources.derive(line[0], checks_in).lines
            ),
            lines,
        )
        return (
            [*islice(working, SUSPECTS)]
            or [*islice(filter(weighs, lines), SUSPECTS)]
            or [*lines[:SUSPECTS]]
        )

    def _imported(self, failure: Failure, outcome: Outcome, scores: Collection[Line]) -> set[Line]:
        """Return import-time lines of the files that share most words with the failing test."""
        if self._deadline is not None and self._deadline.remaining() <= 0:
            return set()
        sources, paths = self._sources, list(outcome.imported)
        if len(paths) > IMPORTED:
            executed, wanted = {path for path, _ in scores}, words_of_failure(failure, sources)

            def order(path: str) -> tuple[bool, bool, int, str]:
                text = sources(path).lower()
                alike = sum(word in text for word in wanted)
                return path not in executed, not self._changes.are_in(path), -alike, path

            paths = heapq.nsmallest(IMPORTED, paths, key=order)
        lines: set[Line] = set()
        for path in paths:
            numbers = whole_statements(outcome.imported[path], sources.derive(path, definitions))
            lines.update((path, number) for number in numbers)
        return lines


def _returned(failure: Failure, outcome: Outcome) -> list[str]:
    """What the calls on the line that failed returned when the test was run again."""
    statement = failure.frames[-1].statement if failure.frames else ""
    named = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(syntax_tree(statement.removesuffix(":")) or ast.Module([], []))
        if isinstance(node, ast.Call)
    }
    told = [
        f"{call.function}({one_line(call.arguments, 80)}) {one_line(call.outcome, 100)}"
        for call in outcome.calls
        if call.function.rpartition(".")[2] in named and call.outcome != "did not return"
    ]
    return [f"there, {sentence}" for sentence in dict.fromkeys(told)][:RETURNED]


def _static(failure: Failure) -> dict[Line, float]:
    """Without a replay: the lines of the functions on the traceback, the deepest first, and those that are called."""
    scores: dict[Line, float] = {}
    frames = [*reversed(failure.frames)]
    for distance, frame in enumerate([*frames[:1], *failure.callees, *frames[1:]]):
        for number in _shown_lines(frame.first_line, frame.source):
            scores.setdefault((frame.path, number), 1 / (distance + 2))
    if failure.frames:
        scores[failure.frames[-1].path, failure.frames[-1].line] = 1.0
    return scores


def _shown_lines(first: int, source: str) -> range:
    return range(first, first + source.count("\n") + 1)


def _suspect(
    line: Line,
    scores: Mapping[Line, float],
    sources: SourceFiles,
    changes: Changes,
    neighbours: int,
) -> Suspect:
    path, number = line
    score = scores.get(line, 0.0)
    reasons = [changes.reason(line)]
    if neighbours > 1 and score == 1.0:
        reasons.append(f"none of {neighbours} passing neighbours runs it")
    statement = one_line(line_of(sources(path), number), 100)
    return Suspect(path, number, statement, round(score, 4), tuple(filter(None, reasons)))


class Changes:
    """Which lines were changed lately, by git; each question is asked of it once."""

    def __init__(self, history: History, now: Callable[[], float] = time.time) -> None:
        self._history = history
        self._now = now
        self._head: dict[str, set[int]] | None = None
        self._base: tuple[str, dict[str, set[int]]] = ("", {})
        self._blamed: dict[str, dict[int, LineOrigin]] = {}

    def ages(self, paths: Sequence[str]) -> dict[Line, float]:
        """How lately lines of `paths`, the most suspicious file first, were changed.

        1 is not committed, 0.5 on this branch, below that the younger the more; of the first few files alone.
        """
        head, (_, base) = self._uncommitted(), self._base
        found: dict[Line, float] = {}
        for path in paths[:BLAMED]:
            for line, (_commit, when) in self._blame(path).items():
                found[path, line] = 0.25 * max(0.0, 1 - (self._now() - when) / YOUNG)
        found |= {(path, line): 0.5 for path in paths for line in base.get(path, ())}
        return found | {(path, line): 1.0 for path in paths for line in head.get(path, ())}

    def are_in(self, path: str) -> bool:
        """Return whether a file differs from its committed version."""
        return path in self._uncommitted()

    def reason(self, line: Line) -> str:
        """What git tells of a line, for a person; empty where that is nothing."""
        path, number = line
        if number in self._uncommitted().get(path, ()):
            return "changed since the last commit"
        branch, base = self._base
        if number in base.get(path, ()):
            return f"changed since {branch}"
        commit, when = self._blame(path).get(number, ("", 0.0))
        return (
            f"changed {_ago(self._now() - when)}, {commit}"
            if commit and self._now() - when < RECENT
            else ""
        )

    def told(self, executed: Collection[Line]) -> tuple[str, ...]:
        """Which of the executed lines are not as they were committed, or else as on the branch that this one left."""
        head = self._uncommitted()
        for since, changed in (("the last commit", head), self._base):
            lines = sorted(line for line in executed if line[1] in changed.get(line[0], ()))
            if lines:
                named = ", ".join(f"{path}:{number}" for path, number in lines[:4])
                more = f" and {len(lines) - 4} more" if len(lines) > 4 else ""
                return (f"changed since {since} and executed: {named}{more}",)
        return ()

    def _blame(self, path: str) -> dict[int, LineOrigin]:
        if path not in self._blamed:
            self._blamed[path] = self._history.blame(path)
        return self._blamed[path]

    def _uncommitted(self) -> dict[str, set[int]]:
        if self._head is None:
            self._head = self._history.changed_lines()
            self._base = self._history.changed_since_base()
        return self._head


def _ago(seconds: float) -> str:
    if seconds < 3600:
        return f"{counted(max(1, int(seconds // 60)), 'minute')} ago"
    return (
        f"{counted(int(seconds // 3600), 'hour')} ago"
        if seconds < DAY
        else f"{counted(int(seconds // DAY), 'day')} ago"
    )
