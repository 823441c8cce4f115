"""Enumerates edits of suspicious lines, the cheapest and most suspicious first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.suspicion import Line, find_test_source
from pytest_starcoder.fix.places import Places
from pytest_starcoder.source.edits import Observations, enumerate_edits, pair_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import statement_at
from pytest_starcoder.source.sources import SourceFiles

MAX_LINES = 80
"""Lines that are edited, the most suspicious ones."""

MAX_RANK_COST = 4.0
"""Cost of the least suspicious line, besides that of the edit (measured on 40 functions)."""

HALF_COST_RANK = 10
"""Rank of the line that costs half of it."""

MAX_PAIRS = 4000
"""Pairs of cheap edits."""

STRING = re.compile(r"(['\"])([^'\"\n]{1,40})\1")


class PricedEdits(NamedTuple):
    """The edits of one candidate; cheaper ones are tried first."""

    cost: float
    edits: tuple[Edit, ...]


def rank_lines(case: Case, places: Places) -> dict[Line, int]:
    """Return the lines to edit with their rank, the most suspicious first.

    In test files, only lines that a failing test executes are included.
    """
    test_files = {nodeid.partition("::")[0] for nodeid in case.cause.nodeids}
    lines = [line for line in places.lines if line in case.scores or line[0] not in test_files]
    return {line: rank for rank, line in enumerate(lines[:MAX_LINES])}


def single_edits(
    case: Case, places: Places, sources: SourceFiles, deadline: Deadline
) -> list[PricedEdits]:
    """Return the edits of all ranked lines, sorted by cost.

    Half of the remaining time is left to try them, so edits of lower ranks may be missing.
    """
    end = deadline.remaining() / 2
    candidates = []
    for rank, edit in _ranked_edits(case, places, sources):
        if deadline.remaining() < end:
            break
        if places.allow(edit):
            rank_cost = MAX_RANK_COST * (1 - 1 / (1 + rank / HALF_COST_RANK))
            candidates.append(PricedEdits(edit.cost + rank_cost, (edit,)))
    return sorted(candidates, key=sorting_key)


def paired_edits(candidates: Sequence[PricedEdits]) -> list[PricedEdits]:
    """Return pairs of single edits, which cost as much as both together."""
    costs = {candidate.edits[0]: candidate.cost for candidate in candidates}
    return [
        PricedEdits(costs[first] + costs[second], (first, second))
        for first, second in pair_edits(list(costs), MAX_PAIRS)
    ]


def sorting_key(candidate: PricedEdits) -> tuple[float, str, tuple[int, int]]:
    first = candidate.edits[0]
    return candidate.cost, first.path, first.span


def _ranked_edits(case: Case, places: Places, sources: SourceFiles) -> Iterator[tuple[int, Edit]]:
    """Yield every edit with the best rank among the lines of its statement."""
    ranks = rank_lines(case, places)
    test = find_test_source(case.cause.first.nodeid, sources)
    strings = tuple(dict.fromkeys(match[2] for match in STRING.finditer(test)))
    types = _observed_types(case)
    for path in dict.fromkeys(path for path, _ in ranks):
        source = sources(path)
        file_types = {line: names for (file, line), names in types.items() if file == path}
        numbers = {number for file, number in ranks if file == path}
        statement_ranks: dict[int, int] = {}
        for edit in enumerate_edits(source, path, numbers, Observations(file_types, strings)):
            if edit.line not in statement_ranks:  # thousands of edits may start on one line
                first, last = statement_at(source, edit.line)
                lines = [(path, number) for number in range(first, last + 1)]
                statement_ranks[edit.line] = min(ranks.get(line, MAX_LINES) for line in lines)
            yield statement_ranks[edit.line], edit


def _observed_types(case: Case) -> Mapping[Line, Mapping[str, frozenset[str]]]:
    """Return the types of variables in the failing tests, by function and name."""
    types: dict[Line, dict[str, frozenset[str]]] = {}
    for outcome in case.replay.failing:
        for function in outcome.types:
            variables = types.setdefault((function.path, function.line), {})
            for name, kinds in function.names.items():
                variables[name] = variables.get(name, frozenset()) | kinds
    return types
