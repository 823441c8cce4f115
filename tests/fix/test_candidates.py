"""Candidates: lines by suspicion, edits by cost."""

from __future__ import annotations

from dataclasses import replace

from support.fake_laboratory import case_of, places_of

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Cause, Missing
from pytest_starcoder.fix.candidates import (
    MAX_LINES,
    STRING,
    paired_edits,
    rank_lines,
    single_edits,
)
from pytest_starcoder.fix.edit_sites import Places
from pytest_starcoder.source.edits import apply_edits
from pytest_starcoder.source.sources import SourceFiles

SOURCE = "def f(n):\n    if n < 3:\n        return n + 1\n    return n\n"
SOURCES = SourceFiles(
    lambda path: SOURCE if path == "shop.py" else "def test_f():\n    assert f('long') == 1\n"
)
CASE = case_of(SOURCE, ["t.py::test_f"])


def test_rank_lines() -> None:
    unexecuted = ("t.py", 1)
    places = Places((("shop.py", 2), unexecuted, ("other.py", 7)))
    assert rank_lines(CASE, places) == {("shop.py", 2): 0, ("other.py", 7): 1}


def test_line_limit() -> None:
    places = Places(tuple(("shop.py", number) for number in range(1, 200)))
    assert len(rank_lines(CASE, places)) == MAX_LINES


def test_edits_by_cost() -> None:
    candidates = single_edits(CASE, places_of(CASE), SOURCES, Deadline.after(60))
    costs = [candidate.cost for candidate in candidates]
    assert costs == sorted(costs)
    assert len({candidate.edits[0].line for candidate in candidates}) > 2


def test_suspicious_lines_are_cheaper() -> None:
    first, last = ("shop.py", 2), ("shop.py", 4)
    costs = []
    for lines in ((first, last), (last, first)):
        candidates = single_edits(CASE, Places(lines), SOURCES, Deadline.after(60))
        costs.append(min(found.cost for found in candidates if found.edits[0].line == 2))
    assert costs[0] < costs[1]


def test_disallowed_edits() -> None:
    places = Places(CASE.ranked, may_change=lambda line: line[1] != 2)
    candidates = single_edits(CASE, places, SOURCES, Deadline.after(60))
    assert all(candidate.edits[0].line != 2 for candidate in candidates)


def test_half_of_the_time_is_left() -> None:
    assert single_edits(CASE, places_of(CASE), SOURCES, Deadline.after(-1)) == []


def test_pairs() -> None:
    singles = single_edits(CASE, places_of(CASE), SOURCES, Deadline.after(60))[:4]
    for pair in paired_edits(singles):
        first, second = pair.edits
        costs = {single.edits[0]: single.cost for single in singles}
        assert pair.cost == costs[first] + costs[second]


def test_missing_variable() -> None:
    """No edit puts the whole environment, or nothing, in the place of a variable."""
    source = 'import os\n\ndef f(n):\n    return "https://" + os.environ["SHOP_HOST"]\n'
    case = case_of(source, ["t.py::test_f"])
    sources = SourceFiles(lambda path: source if path == "shop.py" else "")
    failure = replace(case.cause.first, missing=Missing("variable", "SHOP_HOST"))
    unset = replace(case, cause=Cause((failure,)))

    def edited(case: Case) -> list[str]:
        candidates = single_edits(case, places_of(case), sources, Deadline.after(60))
        return [apply_edits(source, candidate.edits) for candidate in candidates]

    assert any("+ max(os.environ)" in text for text in edited(case))
    assert edited(unset)
    # The variable, or another string in its place.
    for text in edited(unset):
        assert "SHOP_HOST" in text or len(STRING.findall(text)) == 2
