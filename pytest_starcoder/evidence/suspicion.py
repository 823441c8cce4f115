"""Which lines may be at fault: outcomes of traced tests in, lines in the order of their suspicion out.

The score is Ochiai's, over lines. Many lines tie, since the same tests run
them; among those decides what git, the traceback and the code itself tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pytest_starcoder.evidence.lines import weights, with_definitions
from pytest_starcoder.values import Failure, Outcome

Line = tuple[str, int]
"""A file, relative to the root, and a 1-based line of it."""

Sources = Callable[[str], str]
"""The text of a file by that path; empty where it cannot be read."""

TRACEBACK = (6.0, 2.0)
"""What a tie is worth to the line that raised, and to those that called it; one operator is worth 2."""

CHANGED = 8.0
"""What a tie is worth to a line that was changed and not committed; half of it on the branch."""


def ochiai(failing: Sequence[Outcome], passing: Sequence[Outcome]) -> dict[Line, float]:
    """The suspicion of every line that a failing test executed, 0 to 1.

    failed(l) / sqrt(all failed * (failed(l) + passed(l))), where failed(l) and
    passed(l) are the failing and passing tests that executed l (Abreu et al., TAICPART 2007).
    """
    failed, passed = _counts(failing), _counts(passing)
    return {line: hits / math.sqrt(len(failing) * (hits + passed.get(line, 0))) for line, hits in failed.items()}


def defined_too(outcome: Outcome, sources: Sources) -> Outcome:
    """`outcome` with the module's and classes' definitions that its lines use among its lines."""
    return replace(
        outcome, lines={path: with_definitions(numbers, sources(path)) for path, numbers in outcome.lines.items()}
    )


def ranked(
    failure: Failure,
    scores: Mapping[Line, float],
    sources: Sources,
    changed: Mapping[Line, float],
    is_test: Callable[[Line], bool],
) -> list[Line]:
    """The lines of `scores`, the most suspicious first, without those of test functions.

    `changed` is how lately a line was changed, 1 for what is not committed, 0
    for what is old. Lines alike in everything stand in the order of their files.
    """
    on_traceback = _on_traceback(failure)

    def order(line: Line) -> tuple[float, float, str, int]:
        path, number = line
        telling = weights(sources(path)).get(number, 0.0) + on_traceback.get(line, 0.0)
        return -round(scores[line], 6), -(telling + CHANGED * changed.get(line, 0.0)), path, number

    return sorted((line for line in scores if not is_test(line)), key=order)


def _on_traceback(failure: Failure) -> dict[Line, float]:
    raised, called = TRACEBACK
    worth = {(frame.path, frame.line): called for frame in failure.frames}
    if failure.frames:
        worth[failure.frames[-1].path, failure.frames[-1].line] = raised
    return worth


def _counts(outcomes: Sequence[Outcome]) -> dict[Line, int]:
    counts: dict[Line, int] = {}
    for outcome in outcomes:
        for path, numbers in outcome.lines.items():
            for number in numbers:
                counts[path, number] = counts.get((path, number), 0) + 1
    return counts
