"""Which lines may be at fault: outcomes of traced tests in, lines in the order of their suspicion out.

The score is Ochiai's, over lines. Many lines tie, since the same tests run
them; among those decides what git, the traceback and the code itself tell.
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
from pytest_starcoder.source.lines import Parts, definitions, parts_of, with_definitions, words_of
from pytest_starcoder.source.sources import SourceFiles

Line = tuple[str, int]
"""A file, relative to the root, and a 1-based line of it."""

_PRINTED = re.compile(r'File "([^"\n]+)", line (\d+)')
"""What Python prints of a frame: a test may have it in its message from a process that it started."""

TRACEBACK = (6.0, 2.0)
"""What a tie is worth to the line that raised, and to those that called it; one operator is worth 2."""

CHANGED = 8.0
"""What a tie is worth to a line that was changed and not committed; half of it on the branch."""

ALIKE = 0.5
"""What a word is worth that the line and the failing test have in common and few other lines have."""


PATH = 6.0
"""What a word is worth that the path of the file and the name of the test have in common."""

NOTHING = 12.0
"""What a tie is worth to a `return` of None where the failure speaks of None."""

OWN = 6.0
"""What a tie takes from a line of the test's own file: it is the tested code that is sought."""

OTHERS = 3.0
"""What a tie is worth to a line that the failing tests of all other causes run as well."""


def ochiai(failing: Sequence[Outcome], passing: Sequence[Outcome]) -> dict[Line, float]:
    """The suspicion of every line that a failing test executed, 0 to 1.

    failed(l) / sqrt(all failed * (failed(l) + passed(l))), where failed(l) and
    passed(l) are the failing and passing tests that executed l (Abreu et al., TAICPART 2007).
    """
    failed, passed = _counts(failing), _counts(passing)
    return {
        line: hits / math.sqrt(len(failing) * (hits + passed.get(line, 0)))
        for line, hits in failed.items()
    }


def defined_too(outcome: Outcome, sources: SourceFiles) -> Outcome:
    """`outcome` with all of its statements among its lines, and the definitions that they use."""
    words = words_of(source_of_test(outcome.nodeid, sources))
    lines = {
        path: with_definitions(numbers, sources.derive(path, definitions), words)
        for path, numbers in outcome.lines.items()
    }
    return replace(outcome, lines=lines)


def source_of_test(nodeid: str, sources: SourceFiles) -> str:
    """The source of a test's function and its parameters."""
    path, _, name = nodeid.partition("::")
    function, _, parameters = name.rpartition("::")[2].partition("[")
    text = sources.derive(path, _texts_of_functions).get(function)
    return parameters if text is None else f"{text}\n{parameters}"


def _texts_of_functions(source: str) -> dict[str, str]:
    """Return the functions of a file by name; the first one if a name is repeated."""
    lines = source.split("\n")
    found: dict[str, str] = {}
    for node in functions(source):
        found.setdefault(node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno]))
    return found


@dataclass(frozen=True)
class Ranking:
    """Lines, the most suspicious first, and how much each has in common with what the failing test says."""

    lines: tuple[Line, ...]
    alike: Mapping[Line, float]


def ranked(
    failure: Failure,
    scores: Mapping[Line, float],
    sources: SourceFiles,
    changed: Mapping[Line, float],
    is_test: Callable[[Line], bool],
    imported: Collection[Line] = (),
    elsewhere: Mapping[Line, float] = {},
) -> Ranking:
    """The lines of `scores`, without those of test functions; `imported` ones last.

    `changed` is how lately a line was changed, 1 for what is not committed, 0
    for what is old; `elsewhere` which part of the other causes runs a line, 0 to 1.
    Lines alike in everything stand in the order of their files.
    """
    lines = [line for line in (*scores, *imported) if not is_test(line)]
    on_traceback = _on_traceback(failure, {path for path, _ in lines})
    alike, own = _alike(failure, lines, sources), failure.nodeid.partition("::")[0]
    nothing = "None" in failure.message or any("None" in fact for fact in failure.facts[:2])

    def order(line: Line) -> tuple[bool, float, float, str, int]:
        path, number = line
        file = sources.derive(path, definitions)
        telling = file.weights.get(number, 0.0) + on_traceback.get(line, 0.0)
        telling += ALIKE * min(
            3.0, alike[line] / math.log(len(lines) + 1)
        ) + OTHERS * elsewhere.get(line, 0.0)
        telling -= OWN if path == own else 0.0
        telling += NOTHING if nothing and number in file.nothing else 0.0
        score = scores.get(line)
        return (
            score is None,
            -round(score or 0.0, 6),
            -(telling + CHANGED * changed.get(line, 0.0)),
            path,
            number,
        )

    return Ranking(tuple(sorted(lines, key=order)), alike)


def telling(
    ranking: Ranking, scores: Mapping[Line, float], sources: SourceFiles, most: int
) -> list[Line]:
    """The lines that say most of what the failing test says, whoever else runs them, at most so many."""

    def worth(line: Line) -> float:
        path, number = line
        weight = sources.derive(path, definitions).weights.get(number, 0.0)
        return ranking.alike[line] + 10 * scores.get(line, 0.0) + 0.5 * weight

    return heapq.nlargest(most, ranking.lines, key=worth)


def _alike(failure: Failure, lines: Sequence[Line], sources: SourceFiles) -> dict[Line, float]:
    """How much the lines say what the failing test says: words in common, rare ones and those of its name for more."""
    name = parts_of(failure.nodeid.rpartition("::")[2])
    wanted = words_of_failure(failure, sources)
    paths = {
        path: len(parts_of(path.replace("/", " ")) & name) for path in {path for path, _ in lines}
    }
    common: dict[Line, frozenset[str]] = {}
    for path, number in lines:
        common[path, number] = sources.derive(path, Parts).of_line(number) & wanted
    counts = Counter(part for parts in common.values() for part in parts)
    rare = {
        part: math.log(len(lines) / count) * (2 if part in name else 1)
        for part, count in counts.items()
    }
    return {
        line: sum(rare[part] for part in parts) + PATH * paths[line[0]]
        for line, parts in common.items()
    }


def words_of_failure(failure: Failure, sources: SourceFiles) -> frozenset[str]:
    """Return the words of the failing test: its name, source and message."""
    name = failure.nodeid.rpartition("::")[2]
    return parts_of(f"{name} {source_of_test(failure.nodeid, sources)} {failure.message}")


def _on_traceback(failure: Failure, paths: Collection[str]) -> dict[Line, float]:
    """What the lines of the traceback are worth, and of one that another process has printed."""
    raised, called = TRACEBACK
    printed = [
        (file.replace("\\", "/"), int(number)) for file, number in _PRINTED.findall(failure.message)
    ]
    worth = {
        (path, line): called
        for file, line in printed
        for path in paths
        if f"/{file}".endswith(f"/{path}")
    }
    worth |= {(frame.path, frame.line): called for frame in failure.frames}
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
