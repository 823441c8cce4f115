"""Suspicion of lines: the score, the order of ties, and the code that is shown."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.excerpt import select_excerpts
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.line_features import Execution, Line, Statement
from pytest_starcoder.explain.suspicion import ochiai, rank_lines, with_definitions
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


# --- the order ---


def order(
    source: str,
    *,
    failure: Failure = FAILURE,
    path: str = "shop.py",
    test: str = "def test_mean():\n    assert mean([1]) == 2\n",
    scores: Mapping[int, float] = {},
    execution: Execution | None = None,
) -> list[int]:
    """Return the lines of `source` by suspicion; all ran with the same score if not given."""
    text = dedent(source)
    numbers = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    scores = scores or dict.fromkeys(numbers, 1.0)
    execution = execution or Execution({(path, number): scores[number] for number in scores})
    sources = {path: text, "test_a.py": test}
    files = SourceFiles(lambda path: sources.get(path, ""))
    ranking = rank_lines(failure, execution, files, {"test_a.py"}, nobody)
    return [number for _, number in ranking.lines]


def test_operators_first() -> None:
    assert order("def f(x):\n    y = x\n    z = y * 2 + 1\n")[0] == 3


def test_higher_score_first() -> None:
    assert order("a = b\nc = d\n", scores={1: 0.2, 2: 0.9}) == [2, 1]


def test_raising_line_first() -> None:
    frames = (Frame("shop.py", 1, "f", 1, ""), Frame("shop.py", 2, "g", 2, ""))
    failure = Failure("t.py::t", "call", "KeyError", "", "", frames)
    assert order("a = b\nc = d\ne = f\n", failure=failure) == [2, 1, 3]


def test_raise_statement() -> None:
    source = "def f(x):\n    if x > 1:\n        raise ValueError(x)\n"
    frames = (Frame("shop.py", 3, "f", 1, source),)
    failure = Failure("t.py::t", "call", "ValueError", "", "", frames)
    scores = {2: 0.6, 3: 0.5}
    assert order(source, failure=failure, scores=scores)[0] == 3
    elsewhere = Failure("t.py::t", "call", "ValueError", "", "")
    assert order(source, failure=elsewhere, scores=scores)[0] == 2


def test_condition_of_suspicious_branch() -> None:
    source = "def f(x):\n    y = x\n    if y:\n        x = y\n    x = y\n"
    scores = {2: 0.4, 3: 0.4, 4: 1.0, 5: 0.4}
    assert order(source, scores=scores)[:2] == [4, 3]


def test_changed_line_first() -> None:
    lines = {("shop.py", 1): 1.0, ("shop.py", 2): 1.0}
    execution = Execution(lines, recency={("shop.py", 2): 1.0})
    assert order("a = 1 + 2 * 3\nb = c\n", execution=execution) == [2, 1]


def test_none_return_first() -> None:
    source = "def f(x):\n    y = x\n    if y:\n        return None\n    return x + 1\n"
    none = Failure("t.py::t", "call", "TypeError", "'NoneType' object is not iterable", "")
    assert order(source).index(4) > 0
    assert order(source, failure=none)[0] == 4


def test_shared_line_first() -> None:
    lines = {("shop.py", 1): 1.0, ("shop.py", 2): 1.0}
    execution = Execution(lines, shared={("shop.py", 2): 1.0})
    assert order("a = b\nc = d\n", execution=execution) == [2, 1]


def test_words_of_test_name() -> None:
    source = "def total(x):\n    return x\n\ndef mean(x):\n    return x\n"
    assert order(source, scores={2: 0.5, 5: 0.5}) == [5, 2]


def test_file_named_like_the_test_file() -> None:
    lines = {("cart.py", 1): 1.0, ("mean.py", 1): 1.0}
    failure = replace(FAILURE, nodeid="test_mean.py::test_a")
    sources = SourceFiles(lambda _path: "x = y\n")
    result = rank_lines(failure, Execution(lines), sources, {"test_mean.py"}, nobody)
    assert result.lines == (("mean.py", 1), ("cart.py", 1))


def test_imported_lines_last() -> None:
    sources = {"shop.py": "a = 1\nb = 1\n"}
    execution = Execution({("shop.py", 2): 0.1, ("test_a.py", 1): 1.0}, imported=[("shop.py", 1)])
    result = rank_lines(
        FAILURE,
        execution,
        SourceFiles(lambda path: sources.get(path, "")),
        {"test_a.py"},
        lambda line: line[0] == "test_a.py",
    )
    assert result.lines == (("shop.py", 2), ("shop.py", 1))


def test_one_statement() -> None:
    source = "x = call(\n    a,\n    b,\n)\ny = z\n"
    scores = {("shop.py", 1): 1.0, ("shop.py", 2): 1.0, ("shop.py", 5): 1.0}
    files = SourceFiles(lambda _path: source)
    result = rank_lines(FAILURE, Execution(scores), files, set(), nobody)
    assert list(result.statements) == [Statement("shop.py", 1, 4), Statement("shop.py", 5, 5)]
    assert math.isclose(sum(result.statements.values()), 1)


@given(st.randoms())
def test_stable_order(chance: random.Random) -> None:
    entries = [(("shop.py", number), 1.0) for number in range(1, 9)]
    chance.shuffle(entries)
    sources = SourceFiles(lambda _path: "x = 1\n" * 9)
    result = rank_lines(FAILURE, Execution(dict(entries)), sources, set(), nobody)
    assert [line for _, line in result.lines] == list(range(1, 9))


def test_printed_frame() -> None:
    printed = Failure(
        "t.py::t", "call", "OSError", 'Traceback: File "/home/me/src/shop.py", line 2, in main', ""
    )
    assert order("a = b\nc = d\ne = f\n", failure=printed) == [2, 1, 3]


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


@given(st.text(max_size=80), st.integers(1, 9))
def test_any_source(source: str, line: int) -> None:
    index_lines(source).with_definitions({line}, {"a"})
    select_excerpts([("shop.py", line)], SourceFiles(lambda _path: source))
