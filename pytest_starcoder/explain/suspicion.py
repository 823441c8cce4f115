"""Ranks the statements that a failing test ran by how likely they are to be at fault.

The score is a weighted sum of the evidence that `line_features` measures. The weights were fitted
to real bugs by benchmarks/ranking_weights.py, except those that cannot be measured there.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.line_features import (
    Execution,
    Features,
    Line,
    Statement,
    find_test_source,
    measure_features,
)
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.function_names import NamedFunction
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.words import words_in

WEIGHTS = Features(
    spectrum=1.05,
    only_failing=0.63,
    passing=-0.67,
    guards=0.5,
    unchecked=0.8,
    at_import=-0.49,
    raised=1.8,
    traceback=0.67,
    returns_none=1.5,
    file_name=1.27,
    path_words=0.7,
    function_name=0.97,
    function_words=1.23,
    statement_words=0.6,
    message_words=0.42,
    weight=0.64,
    raises=-0.34,
    initializer=-0.77,
    test_file=-5.0,
    changed=4.0,
    shared=0.5,
)
"""How much each kind of evidence counts.

Those of `raised`, `returns_none`, `test_file`, `changed` and `shared` were set by hand: the bugs
have no history, none of their faults is in a test, and few raise an exception in faulty code.
"""


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


@dataclass(frozen=True)
class Ranking:
    """Statements, the most suspicious first, with the probability that each is at fault.

    `lines` are their lines in that order; the probabilities in `statements` add up to 1.
    """

    lines: tuple[Line, ...] = ()
    statements: Mapping[Statement, float] = field(default_factory=dict)


def rank_lines(
    failure: Failure,
    execution: Execution,
    sources: SourceFiles,
    test_files: Collection[str],
    is_test: Callable[[Line], bool],
) -> Ranking:
    """Return the statements that ran, the most suspicious first, without those of tests.

    Ties go to functions that were entered later, then to the first path and line.
    """
    features = measure_features(failure, execution, sources, test_files, is_test)
    scores = {statement: weigh(each) for statement, each in features.items()}
    entered = _entered(execution, sources)

    def rank(statement: Statement) -> tuple[float, int, Statement]:
        function = sources.derive(statement.path, index_lines).functions.get(statement.first)
        return -scores[statement], -entered.get((statement.path, function), -1), statement

    ranked = sorted(scores, key=rank)
    lines: dict[Line, None] = {}
    for path, first, last in ranked:
        for number in range(first, last + 1):
            if (path, number) in execution.scores or (path, number) in execution.imported:
                lines[path, number] = None
    return Ranking(tuple(lines), _probabilities(ranked, scores))


def _entered(
    execution: Execution, sources: SourceFiles
) -> dict[tuple[str, NamedFunction | None], int]:
    """Return the position of each function in the order in which the first test entered them."""
    places = {}
    for outcome in execution.failing[:1]:
        for place, (path, line) in enumerate(outcome.entered):
            function = sources.derive(path, index_lines).functions.get(line)
            places[path, function] = place
    return places


def weigh(features: Features) -> float:
    """Return the score of a statement, rounded so that noise does not break ties."""
    total: float = sum(map(operator.mul, WEIGHTS, features))
    return round(total, 6)


def _probabilities(
    ranked: Sequence[Statement], scores: Mapping[Statement, float]
) -> dict[Statement, float]:
    best = max(scores.values(), default=0.0)
    chances = {statement: math.exp(scores[statement] - best) for statement in ranked}
    total = sum(chances.values())
    return {statement: chance / total for statement, chance in chances.items()}
