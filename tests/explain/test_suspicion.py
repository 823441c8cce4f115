"""Suspicion of lines: the score, the order of ties, and the code that is shown."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.excerpt import (
    NARROW_ROOM,
    Room,
    select_excerpts,
)
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.suspicion import (
    Line,
    ochiai,
    rank_lines,
    relevant_lines,
    with_definitions,
)
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.sources import SourceFiles

FAILURE = Failure(
    "test_a.py::test_mean", "call", "AssertionError", "assert 1 == 2", "1, the test expects 2"
)


def outcome(*lines: int, path: str = "shop.py") -> Outcome:
    return Outcome("n", "failed", lines={path: frozenset(lines)})


def nobody(_line: Line) -> bool:
    return False


# --- Ochiai ---


def test_ochiai_score() -> None:
    scores = ochiai([outcome(1, 2), outcome(2)], [outcome(2, 3), outcome(3)])
    assert scores == {("shop.py", 1): 1 / math.sqrt(2 * 1), ("shop.py", 2): 2 / math.sqrt(2 * 3)}


runs = st.lists(st.frozensets(st.integers(1, 9)), max_size=5)


@given(runs, runs)
def test_highest_score(failing: list[frozenset[int]], passing: list[frozenset[int]]) -> None:
    scores = ochiai([outcome(*run) for run in failing], [outcome(*run) for run in passing])
    for (_, line), score in scores.items():
        assert 0 < score <= 1 + 1e-9
        only = all(line in run for run in failing) and not any(line in run for run in passing)
        assert math.isclose(score, 1) == only


# --- the order of equals ---


def order(
    source: str,
    *,
    failure: Failure = FAILURE,
    recency: Mapping[Line, float] = {},
    shared: Mapping[Line, float] = {},
) -> list[int]:
    text = dedent(source)
    numbers = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    scores = {("shop.py", number): 1.0 for number in numbers}
    sources = {"shop.py": text, "test_a.py": "def test_mean():\n    assert mean([1]) == 2\n"}
    files = SourceFiles(lambda path: sources.get(path, ""))
    ranking = rank_lines(failure, scores, files, recency, nobody, shared=shared)
    return [number for _, number in ranking.lines]


def test_operators_first() -> None:
    assert order("def f(x):\n    y = x\n    return y * 2 + 1\n") == [3, 2, 1]


def test_raising_line_first() -> None:
    frames = (Frame("shop.py", 1, "f", 1, ""), Frame("shop.py", 2, "g", 2, ""))
    failure = Failure("t.py::t", "call", "KeyError", "", "", frames)
    assert order("a = b\nc = d\ne = f\n", failure=failure) == [2, 1, 3]


def test_changed_line_first() -> None:
    assert order("a = 1 + 2 * 3\nb = c\n", recency={("shop.py", 2): 1.0}) == [2, 1]


def test_none_return_first() -> None:
    source = "def f(x):\n    if x > 1:\n        return None\n    return x + 1\n"
    none = Failure("t.py::t", "call", "TypeError", "'NoneType' object is not iterable", "")
    assert order(source)[0] != 3
    assert order(source, failure=none)[0] == 3


def test_shared_line_first() -> None:
    assert order("a = b\nc = d\n", shared={("shop.py", 2): 1.0}) == [2, 1]


def test_imported_lines_last() -> None:
    sources = {"shop.py": "a = 1 + 1\nb = 2\n"}
    result = rank_lines(
        FAILURE,
        {("shop.py", 2): 0.1, ("test_a.py", 1): 1.0},
        SourceFiles(lambda path: sources.get(path, "")),
        {},
        lambda line: line[0] == "test_a.py",
        [("shop.py", 1)],
    )
    assert result.lines == (("shop.py", 2), ("shop.py", 1))


@given(st.randoms())
def test_stable_order(chance: random.Random) -> None:
    entries = [(("shop.py", number), 1.0) for number in range(1, 9)]
    chance.shuffle(entries)
    sources = SourceFiles(lambda _path: "x = 1\n" * 9)
    result = rank_lines(FAILURE, dict(entries), sources, {}, nobody)
    assert [line for _, line in result.lines] == list(range(1, 9))


def test_relevant_line() -> None:
    sources = {
        "shop.py": "a = 1 * 2\nkeep_trailing = False\n" * 1,
        "test_a.py": "def test_keep_trailing(): pass\n",
    }
    failure = Failure("test_a.py::test_keep_trailing", "call", "E", "", "")
    scores = {("shop.py", 1): 0.2, ("shop.py", 2): 0.2}
    result = rank_lines(failure, scores, SourceFiles(sources.__getitem__), {}, nobody)
    assert relevant_lines(result, scores, SourceFiles(sources.__getitem__), 1) == [("shop.py", 2)]


# --- lines and definitions ---

TABLE = dedent(
    """
    RATE = 3
    UNUSED = 4
    FORMATS = {
        "plain": make(
            1,
        ),
        "rich": make(2),
    }

    class Shop:
        limit = 5

        def price(
            self, amount=RATE,
        ):
            return amount + self.limit

        def show(self, name):
            return FORMATS[name]
    """
).lstrip()


def test_entries_by_test_words() -> None:
    sources = {"shop.py": TABLE, "t.py": "def test_a():\n    show('rich')\n"}
    result = with_definitions(
        Outcome("t.py::test_a", "failed", lines={"shop.py": frozenset({19})}),
        SourceFiles(sources.__getitem__),
    )
    lines = TABLE.split("\n")
    assert '"rich": make(2),' in {lines[number - 1].strip() for number in result.lines["shop.py"]}
    assert '"plain": make(' not in {lines[number - 1].strip() for number in result.lines["shop.py"]}


def shown(source: str, *lines: int, room: Room = NARROW_ROOM) -> list[str]:
    ranked_lines = [("shop.py", line) for line in lines]
    scores = dict.fromkeys(ranked_lines, 1.0)
    return [
        result.text
        for result in select_excerpts(
            ranked_lines, scores, SourceFiles(lambda _path: source), (), room
        )
    ]


@given(st.text(max_size=80), st.integers(1, 9))
def test_any_source(source: str, line: int) -> None:
    index_lines(source).with_definitions({line}, {"a"})
    shown(source, line)


def test_printed_frame() -> None:
    printed = Failure(
        "t.py::t", "call", "OSError", 'Traceback: File "/home/me/src/shop.py", line 2, in main', ""
    )
    assert order("a = b\nc = d\ne = f\n", failure=printed) == [2, 1, 3]
