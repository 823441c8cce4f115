"""Ranks executed lines by how likely they are to be at fault.

The score is Ochiai's, over lines. Many lines tie because the same tests run them; git, the
traceback and the code itself break those ties. The weights were tuned on the seeded edits of
benchmarks/ranking.py.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.functions import functions
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.words import LineWords, word_parts, words_in

Line = tuple[str, int]
"""A file, relative to the root, and a 1-based line number."""

PRINTED_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
"""A traceback entry in the message, perhaps from a process that the test started."""

RAISED_BONUS = 6.0
"""Bonus of the line that raised; for comparison, an operator adds 2 to its line's weight."""

CALLER_BONUS = 2.0
"""Bonus of the other lines on the traceback."""

CHANGED_BONUS = 8.0
"""Bonus of a line with uncommitted changes."""

NONE_BONUS = 12.0
"""Bonus of a `return` of None if the failure mentions None."""

SHARED_BONUS = 3.0
"""Bonus of a line that the failing tests of all other causes execute as well."""

TEST_FILE_PENALTY = 6.0
"""Penalty of a line in the test's file: the fault is more likely in the code under test."""

WORD_FACTOR = 0.5
"""Weight of the words that a line shares with the failing test; rare words count more."""

MAX_WORDS = 3.0
"""Maximum number of rare words that count."""

PATH_BONUS = 6.0
"""Relevance of a word that the path of the file shares with the name of the test."""


def ochiai(failing: Sequence[Outcome], passing: Sequence[Outcome]) -> dict[Line, float]:
    """Return the suspicion of every line that a failing test executed, from 0 to 1.

    failed(l) / sqrt(all failed * (failed(l) + passed(l))), where failed(l) and passed(l) are the
    numbers of failing and passing tests that executed l (Abreu et al., TAICPART 2007).
    """
    failed = _count_tests(failing)
    passed = _count_tests(passing)
    scores = {}
    for line, count in failed.items():
        executions = count + passed[line]
        scores[line] = count / math.sqrt(len(failing) * executions)
    return scores


def _count_tests(outcomes: Sequence[Outcome]) -> Counter[Line]:
    counts: Counter[Line] = Counter()
    for outcome in outcomes:
        for path, numbers in outcome.lines.items():
            counts.update((path, number) for number in numbers)
    return counts


def with_definitions(outcome: Outcome, sources: SourceFiles) -> Outcome:
    """Return an outcome whose lines are whole statements and the definitions that they use."""
    words = words_in(find_test_source(outcome.nodeid, sources))
    lines = {}
    for path, numbers in outcome.lines.items():
        index = sources.derive(path, index_lines)
        lines[path] = index.with_definitions(numbers, words)
    return replace(outcome, lines=lines)


def find_test_source(nodeid: str, sources: SourceFiles) -> str:
    """Return the source of a test function, followed by the parameters of the test."""
    path, _, name = nodeid.partition("::")
    function, _, parameters = name.rpartition("::")[2].partition("[")
    source = sources.derive(path, _functions_by_name).get(function)
    if source is None:
        return parameters
    return f"{source}\n{parameters}"


def _functions_by_name(source: str) -> dict[str, str]:
    """Return the source of each function of a file; of the first one if a name is repeated."""
    lines = source.split("\n")
    texts: dict[str, str] = {}
    for node in functions(source):
        body = lines[node.lineno - 1 : node.end_lineno]
        texts.setdefault(node.name, "\n".join(body))
    return texts


@dataclass(frozen=True)
class Ranking:
    """Lines, the most suspicious first, and how much each has in common with the test."""

    lines: tuple[Line, ...]
    relevance: Mapping[Line, float]


def rank_lines(
    failure: Failure,
    scores: Mapping[Line, float],
    sources: SourceFiles,
    recency: Mapping[Line, float],
    is_test: Callable[[Line], bool],
    imported: Collection[Line] = (),
    shared: Mapping[Line, float] = {},
) -> Ranking:
    """Return the lines of `scores` by suspicion, then the `imported` ones, without lines of tests.

    `recency` is 1 for an uncommitted line and 0 for an old one; `shared` is the share of the
    other causes that execute a line. Complete ties are sorted by path and line number.
    """
    lines = [line for line in (*scores, *imported) if not is_test(line)]
    hints = _Hints(failure, lines, sources, recency, shared)

    def rank(line: Line) -> tuple[bool, float, float, Line]:
        # Rounded, so that floating-point noise does not break ties.
        score = round(scores.get(line, 0.0), 6)
        return line not in scores, -score, -hints.weigh(line), line

    return Ranking(tuple(sorted(lines, key=rank)), hints.relevance)


class _Hints:
    """Evidence that breaks ties between lines with the same score."""

    def __init__(
        self,
        failure: Failure,
        lines: Sequence[Line],
        sources: SourceFiles,
        recency: Mapping[Line, float],
        shared: Mapping[Line, float],
    ) -> None:
        self._sources = sources
        self._recency = recency
        self._shared = shared
        self._test_file = failure.nodeid.partition("::")[0]
        # Later facts are about other values on the line.
        texts = (failure.message, *failure.facts[:2])
        self._mentions_none = any("None" in text for text in texts)
        paths = {path for path, _ in lines}
        self._traceback_bonus = _traceback_bonus(failure, paths)
        self.relevance = _relevance(failure, lines, sources)
        # The relevance of the rarest word, as a unit.
        self._scale = math.log(len(lines) + 1)

    def weigh(self, line: Line) -> float:
        path, number = line
        index = self._sources.derive(path, index_lines)
        weight = index.weights.get(number, 0.0)
        weight += self._traceback_bonus.get(line, 0.0)
        rare_words = self.relevance[line] / self._scale
        weight += WORD_FACTOR * min(MAX_WORDS, rare_words)
        weight += SHARED_BONUS * self._shared.get(line, 0.0)
        weight += CHANGED_BONUS * self._recency.get(line, 0.0)
        if path == self._test_file:
            weight -= TEST_FILE_PENALTY
        if self._mentions_none and number in index.none_returns:
            weight += NONE_BONUS
        return weight


def relevant_lines(
    ranking: Ranking, scores: Mapping[Line, float], sources: SourceFiles, limit: int
) -> list[Line]:
    """Return the lines with the most words of the failing test, whatever their rank."""

    def relevance(line: Line) -> float:
        path, number = line
        weight = sources.derive(path, index_lines).weights.get(number, 0.0)
        score = scores.get(line, 0.0)
        return ranking.relevance[line] + 10 * score + 0.5 * weight

    return heapq.nlargest(limit, ranking.lines, key=relevance)


def _relevance(failure: Failure, lines: Sequence[Line], sources: SourceFiles) -> dict[Line, float]:
    """Return how much each line has in common with the failing test.

    Rare words count more, and those of the test's name twice.
    """
    name = word_parts(failure.nodeid.rpartition("::")[2])
    test_words = failure_words(failure, sources)
    common: dict[Line, frozenset[str]] = {}
    counts: Counter[str] = Counter()
    for path, number in lines:
        words = sources.derive(path, LineWords).on_line(number) & test_words
        common[path, number] = words
        counts.update(words)
    rarity: dict[str, float] = {}
    for word, count in counts.items():
        rarity[word] = math.log(len(lines) / count)
        if word in name:
            rarity[word] *= 2
    bonus = _path_bonus(name, lines)
    relevance: dict[Line, float] = {}
    for line, words in common.items():
        path, _ = line
        relevance[line] = bonus[path] + sum(map(rarity.__getitem__, words))
    return relevance


def _path_bonus(name: frozenset[str], lines: Sequence[Line]) -> dict[str, float]:
    """Return the bonus of each file whose path has words of the test's name."""
    bonus = {}
    for path in {path for path, _ in lines}:
        shared = word_parts(path.replace("/", " ")) & name
        bonus[path] = PATH_BONUS * len(shared)
    return bonus


def failure_words(failure: Failure, sources: SourceFiles) -> frozenset[str]:
    """Return the words in a failing test's name, source and message."""
    name = failure.nodeid.rpartition("::")[2]
    source = find_test_source(failure.nodeid, sources)
    return word_parts(f"{name} {source} {failure.message}")


def _traceback_bonus(failure: Failure, paths: Collection[str]) -> dict[Line, float]:
    """Return the bonus of the lines on the traceback and on tracebacks in the message."""
    bonus: dict[Line, float] = {}
    for file, number in PRINTED_FRAME.findall(failure.message):
        absolute = "/" + file.replace("\\", "/")
        # The printed path is absolute; `paths` are relative to the root.
        for path in paths:
            if absolute.endswith(f"/{path}"):
                bonus[path, int(number)] = CALLER_BONUS
    for frame in failure.frames:
        bonus[frame.path, frame.line] = CALLER_BONUS
    for frame in failure.frames[-1:]:
        bonus[frame.path, frame.line] = RAISED_BONUS
    return bonus
