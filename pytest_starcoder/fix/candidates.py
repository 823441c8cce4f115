"""Enumerates edits of suspicious lines, the cheapest and most suspicious first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.line_features import Line, find_test_source
from pytest_starcoder.fix.edit_sites import Places, number_lines
from pytest_starcoder.source.edits import Observations, enumerate_edits, pair_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import statement_at
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.node_ids import file_of

MAX_LINES = 80
"""Maximum number of lines to edit, the most suspicious ones."""

MAX_RANK_COST = 4.0
"""Cost of the least suspicious line, added to that of the edit (measured on 40 functions)."""

HALF_COST_RANK = 10
"""Rank of the line that costs half of MAX_RANK_COST."""

MAX_PAIRS = 4000
"""Maximum number of pairs of cheap edits."""

# Short strings without escapes: those of a test may be what the code lacks.
STRING = re.compile(r"(['\"])([^'\"\n]{1,40})\1")


NAMED_KINDS = ("variable", "program", "file")
"""Kinds of missing things that code looks up by name, in a string."""

TypesByFunction = dict[int, dict[str, frozenset[str]]]
"""The names of types that variables had, by the first line of a function and name."""


class PricedEdits(NamedTuple):
    """The edits of one candidate; cheaper ones are tried first."""

    cost: float
    edits: tuple[Edit, ...]


def rank_lines(case: Case, places: Places) -> dict[Line, int]:
    """Return the lines to edit with their rank, the most suspicious first.

    In test files, only lines that a failing test executes are included.
    """
    test_files = set(map(file_of, case.cause.nodeids))
    ranks: dict[Line, int] = {}
    for line in places.lines:
        path, _ = line
        is_executed = line in case.scores
        if is_executed or path not in test_files:
            ranks[line] = len(ranks)
        if len(ranks) == MAX_LINES:
            break
    return ranks


def single_edits(
    case: Case, places: Places, sources: SourceFiles, deadline: Deadline
) -> list[PricedEdits]:
    """Return the edits of all ranked lines, sorted by cost.

    Enumeration takes at most half of the remaining time, and may then lack the lower ranks.
    """
    end = deadline.remaining() / 2
    candidates = []
    for rank, edit in _ranked_edits(case, places, sources):
        if deadline.remaining() < end:
            break
        if places.allow(edit) and not _drops_name(case, edit):
            cost = edit.cost + _rank_cost(rank)
            candidates.append(PricedEdits(cost, (edit,)))
    return sorted(candidates, key=sorting_key)


def _drops_name(case: Case, edit: Edit) -> bool:
    """Return whether an edit removes the name of a missing variable, program or file.

    Without a name, the code looks up nothing, or all variables.
    """
    missing = case.cause.first.missing
    if missing is None or missing.kind not in NAMED_KINDS or missing.name not in edit.before:
        return False
    return len(STRING.findall(edit.after)) < len(STRING.findall(edit.before))


def _rank_cost(rank: int) -> float:
    """Return 0 for the first rank; the cost rises to MAX_RANK_COST, ever more slowly."""
    share = rank / (rank + HALF_COST_RANK)
    return MAX_RANK_COST * share


def paired_edits(candidates: Sequence[PricedEdits]) -> list[PricedEdits]:
    """Return pairs of single edits, which cost as much as both together."""
    costs = {candidate.edits[0]: candidate.cost for candidate in candidates}
    pairs = []
    for first, second in pair_edits(list(costs), MAX_PAIRS):
        cost = costs[first] + costs[second]
        pairs.append(PricedEdits(cost, (first, second)))
    return pairs


def sorting_key(candidate: PricedEdits) -> tuple[float, str, tuple[int, int]]:
    """Sort by cost, and then by place, so that the order is the same in every run."""
    first = candidate.edits[0]
    return candidate.cost, first.path, first.span


def _ranked_edits(case: Case, places: Places, sources: SourceFiles) -> Iterator[tuple[int, Edit]]:
    """Yield every edit with the best rank among the lines of its statement."""
    ranks = rank_lines(case, places)
    test = find_test_source(case.cause.first.nodeid, sources)
    texts = [match[2] for match in STRING.finditer(test)]
    strings = tuple(dict.fromkeys(texts))
    types = _observed_types(case)
    numbers_by_file: dict[str, set[int]] = {}
    for path, number in ranks:
        numbers_by_file.setdefault(path, set()).add(number)
    # File by file, because enumerating walks the whole syntax tree.
    for path, numbers in numbers_by_file.items():
        source = sources(path)
        observations = Observations(types.get(path, {}), strings)
        # Thousands of edits may start on one line.
        statement_ranks: dict[int, int] = {}
        for edit in enumerate_edits(source, path, numbers, observations):
            if edit.line not in statement_ranks:
                lines = number_lines(path, *statement_at(source, edit.line))
                statement_ranks[edit.line] = _best_rank(lines, ranks)
            yield statement_ranks[edit.line], edit


def _best_rank(lines: Iterable[Line], ranks: Mapping[Line, int]) -> int:
    return min(ranks.get(line, MAX_LINES) for line in lines)


def _observed_types(case: Case) -> dict[str, TypesByFunction]:
    """Return the types of variables in the failing tests: by path, line of a function, and name."""
    types: dict[str, TypesByFunction] = {}
    for outcome in case.replay.failing:
        for function in outcome.types:
            functions = types.setdefault(function.path, {})
            variables = functions.setdefault(function.line, {})
            for name, type_names in function.names.items():
                variables[name] = variables.get(name, frozenset()) | type_names
    return types
