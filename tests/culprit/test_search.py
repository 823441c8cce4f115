"""The search for the smallest set of changes, with a judge that runs nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_worker import BEFORE, Desk, Judge, Outcome, places

from pytest_starcoder.culprit.bench import Verdict
from pytest_starcoder.culprit.pieces import ChangedText, Piece, Pieces
from pytest_starcoder.culprit.search import Search, minimize
from pytest_starcoder.deadline import Deadline

Texts = Mapping[str, str | None]


def module(**values: object) -> str:
    """Return a module whose assignments stand far apart, each its own hunk."""
    return "".join(f"{name} = {value}\nprint({name!r})\n" for name, value in values.items())


OLD = {"a.py": module(a=1, b=1, c=1, d=1), "b.py": module(e=1, f=1)}
NEW = {"a.py": module(a=2, b=2, c=2, d=2), "b.py": module(e=2, f=2)}
"""Six changes: a.py:1, a.py:3, a.py:5, a.py:7, b.py:1 and b.py:3."""


def undone(texts: Texts) -> set[str]:
    """Return the names of the values that are as before."""
    whole = "".join(text or "" for text in texts.values())
    return {name for name in "abcdef" if f"{name} = 1\n" in whole}


def passes_if(*sets: str) -> Judge:
    """Return a judge for which a test passes if all changes of one of the sets are undone."""

    def judge(texts: Texts) -> Outcome:
        return "passed" if any(undone(texts).issuperset(names) for names in sets) else "failed"

    return judge


# --- sets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("at_import", [[], ["a.py"], ["a.py", "b.py"]])
def test_one_change(at_import: list[str]) -> None:
    found = Desk(OLD, NEW, passes_if("c"), at_import=at_import).search()
    assert places(found) == [["a.py:5"]]
    assert found.harmless


@pytest.mark.parametrize("at_import", [[], ["a.py"], ["a.py", "b.py"]])
def test_changes_needed_together(at_import: list[str]) -> None:
    found = Desk(OLD, NEW, passes_if("bf"), at_import=at_import).search()
    assert places(found) == [["a.py:3", "b.py:3"]]
    assert found.harmless


def test_three_changes_needed_together() -> None:
    assert places(Desk(OLD, NEW, passes_if("abf")).search()) == [["a.py:1", "a.py:3", "b.py:3"]]


def test_two_ways() -> None:
    found = Desk(OLD, NEW, passes_if("a", "e")).search()
    assert places(found) == [["a.py:1"], ["b.py:1"]]
    assert found.harmless


def test_second_way_among_the_others() -> None:
    found = Desk(OLD, NEW, passes_if("a", "ef")).search()
    assert places(found) == [["a.py:1"], ["b.py:1", "b.py:3"]]
    assert not found.harmless


def test_ways_that_share_a_change() -> None:
    old = {"a.py": "a = 1\na0 = 1\nprint()\nb = 1\nprint()\nc = 1\n"}
    new = {"a.py": "a = 2\na0 = 2\nprint()\nb = 2\nprint()\nc = 2\n"}

    def judge(texts: Texts) -> Outcome:
        if undone(texts) == set("abc"):
            return "other failure"
        return "passed" if undone(texts) in (set("ab"), set("ac")) else "failed"

    found = Desk(old, new, judge).search({"a.py": frozenset(range(9))})
    assert places(found) == [["a.py:1", "a.py:4"], ["a.py:1", "a.py:6"]]
    assert all(piece.size == 2 for way in found.ways for piece in way)


def test_no_change_matters() -> None:
    found = Desk(OLD, NEW, passes_if()).search()
    assert (found.ways, found.all) == ((), Verdict.FAILS)


def test_no_answer_with_everything_undone() -> None:
    def judge(texts: Texts) -> Outcome:
        names = undone(texts)
        if "e" in names:
            return "other failure"  # the test needs the new e
        return "passed" if {"b", "c"} <= names else "failed"

    executed = {"a.py": frozenset({3, 5})}
    assert places(Desk(OLD, NEW, judge).search(executed)) == [["a.py:3", "a.py:5"]]
    found = Desk(OLD, NEW, judge, at_import=["a.py", "b.py"]).search(executed)
    assert places(found) == [["a.py:3", "a.py:5"]]


@pytest.mark.parametrize("outcome", ["skipped", "missing", "other failure"])
def test_other_outcomes_are_no_answer(outcome: Outcome) -> None:
    found = Desk(OLD, NEW, lambda texts: outcome if undone(texts) else "failed").search()
    assert (found.ways, found.all) == ((), Verdict.UNKNOWN)


def test_only_lines_that_matter() -> None:
    old = {"a.py": "x = 1\na = 1\ny = 1\n"}
    new = {"a.py": "x = 2\na = 2\ny = 2\n"}
    assert places(Desk(old, new, passes_if("a")).search()) == [["a.py:2"]]


def test_adjacent_lines_are_one_piece() -> None:
    old = {"a.py": "x = 1\na = 1\nb = 1\n"}
    new = {"a.py": "x = 2\na = 2\nb = 2\n"}
    [way] = Desk(old, new, passes_if("ab")).search().ways
    [piece] = way
    assert (piece.line, piece.last, piece.size) == (2, 3, 4)


def test_code_before_tests_and_data() -> None:
    old = {"data.csv": "e = 1\n", "test_it.py": "a = 1\n", "a.py": "b = 1\nprint()\nc = 1\n"}
    new = {"data.csv": "e = 2\n", "test_it.py": "a = 2\n", "a.py": "b = 2\nprint()\nc = 2\n"}
    assert places(Desk(old, new, passes_if("a", "b", "e")).search())[0] == ["a.py:1"]
    assert places(Desk(old, new, passes_if("a", "e")).search())[0] == ["test_it.py:1"]
    assert places(Desk(old, new, passes_if("e")).search())[0] == ["data.csv:1"]
    assert places(Desk(old, new, passes_if("ae")).search()) == [["data.csv:1", "test_it.py:1"]]


def test_former_expectation_is_no_second_way() -> None:
    old = {"data.csv": "e = 1\n", "test_it.py": "a = 1\n", "a.py": "b = 1\n"}
    new = {"data.csv": "e = 2\n", "test_it.py": "a = 2\n", "a.py": "b = 2\n"}
    found = Desk(old, new, passes_if("a", "b")).search()
    assert places(found) == [["a.py:1"]]
    assert not found.harmless
    assert places(Desk(old, new, passes_if("b", "e")).search()) == [["a.py:1"], ["data.csv:1"]]


def test_new_and_removed_files() -> None:
    old = {"gone.py": "a = 1\n", "new.py": None, "b.py": "b = 1\n"}
    new = {"gone.py": None, "new.py": "c = 2\n", "b.py": "b = 2\n"}

    def judge(texts: Texts) -> Outcome:
        return "passed" if texts["gone.py"] and not texts["new.py"] else "failed"

    assert places(Desk(old, new, judge).search()) == [["gone.py:1", "new.py:1"]]


# --- imports -------------------------------------------------------------------------------


@pytest.mark.parametrize("imported", [{}, {"a.py": frozenset({1, 3, 5, 7})}])
def test_change_that_was_used_at_import(imported: dict[str, frozenset[int]]) -> None:
    desk = Desk(OLD, NEW, passes_if("c"), used_at_import=["a.py"])
    assert places(desk.search(imported=imported)) == [["a.py:5"]]


def test_few_imports() -> None:
    desk = Desk(OLD, NEW, passes_if("c"), at_import=["b.py"])
    desk.search()
    assert desk.worker.imports <= 1, "that the others are harmless"
    desk = Desk(OLD, NEW, passes_if("e"), at_import=["b.py"])
    desk.search(imported={})
    assert desk.worker.imports <= 8


def test_changes_that_the_message_mentions() -> None:
    desk = Desk(OLD, NEW, passes_if("f"), at_import=["a.py", "b.py"])
    oracle = desk.oracle()
    oracle.before = replace(BEFORE, note="ImportError: cannot import name 'x' from 'b.py::f = 2'")
    assert places(Search(desk.bench, oracle, {}).find()) == [["b.py:3"]]


# --- tests that are not steady -------------------------------------------------------------


def test_passing_by_chance() -> None:
    chance = random.Random(0)

    def judge(texts: Texts) -> Outcome:
        return "passed" if chance.random() < 0.3 else "failed"

    named = sum(bool(Desk(OLD, NEW, judge).search().ways) for _ in range(60))
    assert named <= 2, "one of 500 remains"


# --- time ----------------------------------------------------------------------------------


def test_no_time() -> None:
    found = Desk(OLD, NEW, passes_if("c"), deadline=Deadline.after(0)).search()
    assert (found.ways, found.timed_out, found.unfinished) == ((), True, frozenset())


@pytest.mark.parametrize("runs", range(1, 14))
def test_time_runs_out(runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(OLD, NEW, passes_if("bf"), at_import=["a.py", "b.py"])
    deadline = Deadline.after(60)
    desk.bench._deadline = deadline
    monkeypatch.setattr(Deadline, "remaining", lambda _: 1.0 if desk.worker.imports < runs else 0.0)
    found = desk.search()
    if found.ways:
        assert places(found) == [["a.py:3", "b.py:3"]]
        return
    assert found.timed_out
    names = {f"{piece.path}:{piece.line}" for piece in found.unfinished}
    assert names >= {"a.py:3", "b.py:3"} or not names


# --- ddmin ---------------------------------------------------------------------------------


def pieces_of(count: int) -> list[Piece]:
    lines = [f"v{number} = 1\nprint()\n" for number in range(count)]
    new = [line.replace("1", "2") for line in lines]
    return ChangedText.of("a.py", "code", "".join(lines), "".join(new)).pieces


@given(st.integers(1, 12), st.data())
def test_minimal(count: int, data: st.DataObject) -> None:
    pieces = pieces_of(count)
    needed = st.sets(st.sampled_from(pieces), min_size=1).map(frozenset)
    sets = data.draw(st.lists(needed, min_size=1, max_size=3))
    # Sets that contain one of these give no answer, unless everything is undone.
    traps = data.draw(st.lists(needed, max_size=2))
    everything = frozenset(pieces)
    runs = 0

    def passes(undone: Pieces) -> bool:
        nonlocal runs
        runs += 1
        if undone != everything and any(trap <= undone for trap in traps):
            return False
        return any(each <= undone for each in sets)

    smallest = minimize(pieces, passes)
    assert passes(smallest)
    assert not any(passes(smallest - {piece}) for piece in smallest if len(smallest) > 1)
    assert runs <= count * count + 3 * count + 8


def test_minimum_in_order() -> None:
    calls: list[Sequence[Piece]] = []
    pieces = pieces_of(8)

    def passes(undone: Pieces) -> bool:
        calls.append(list(undone))
        return pieces[0] in undone

    assert minimize(pieces, passes) == {pieces[0]}
    assert len(calls) == 3, "pieces that come first are found first"
