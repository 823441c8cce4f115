"""Ranks the statements that a failing test ran by how likely they are to be at fault.

The score is a weighted sum of the evidence that `line_features` measures. The weights were fitted
to the real bugs of benchmarks/real_lines.py; what cannot be measured there has a weight by hand.
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
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.words import words_in

WEIGHTS = Features(
    spectrum=1.0,
    only_failing=0.6,
    passing=-0.8,
    guards=0.6,
    at_import=-0.6,
    raised=0.5,
    traceback=0.4,
    returns_none=1.5,
    file_name=1.2,
    path_words=1.0,
    function_name=0.9,
    own_words=0.4,
    function_words=0.4,
    statement_words=0.3,
    message_words=0.3,
    weight=0.8,
    initializer=-0.6,
    raises=-0.3,
    condition=0.3,
    result=0.3,
    assignment=0.2,
    long_function=-0.5,
    module_level=-0.3,
    test_file=-0.6,
    changed=4.0,
    shared=0.5,
)
"""How much each kind of evidence counts."""


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

    `lines` are their lines in that order, `statements` map to probabilities that add up to 1.
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
    """Return the statements that ran by suspicion, without those of tests.

    Complete ties are sorted by path and line number.
    """
    features = measure_features(failure, execution, sources, test_files, is_test)
    scores = {statement: weigh(each) for statement, each in features.items()}
    ranked = sorted(scores, key=lambda statement: (-scores[statement], statement))
    lines: dict[Line, None] = {}
    for path, first, last in ranked:
        for number in range(first, last + 1):
            if (path, number) in execution.scores or (path, number) in execution.imported:
                lines[path, number] = None
    return Ranking(tuple(lines), _probabilities(ranked, scores))


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
