"""The code that a prompt shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.explain import excerpt
from pytest_starcoder.explain.excerpt import (
    SUSPECT_ROOM,
    Room,
    choose_excerpts,
    select_excerpts,
)
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.line_features import Statement
from pytest_starcoder.explain.suspicion import Ranking
from pytest_starcoder.source.sources import SourceFiles

# --- what is shown ---

LONG = "\n".join(
    ["def long(x):", *(f"    step_{number} = {number}" for number in range(2, 40)), ""]
)


SMALL = "\n".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(100))

FAILURE = Failure("test_a.py::test", "call", "AssertionError", "", "")

NARROW = Room(500, function=8)


def shown(source: str, *lines: int, room: Room = NARROW) -> list[str]:
    wanted = [("shop.py", line) for line in lines]
    excerpts = select_excerpts(wanted, SourceFiles(lambda _path: source), room)
    return [excerpt.text for excerpt in excerpts]


def chosen(source: str, *lines: int, failure: Failure = FAILURE, room: Room = NARROW) -> str:
    """Return the code of suspicious lines, the most suspicious first."""
    chances = {Statement("shop.py", line, line): 0.5**place for place, line in enumerate(lines)}
    ranking = Ranking(statements=chances)
    excerpts = choose_excerpts(failure, ranking, SourceFiles(lambda _path: source), room)
    return "\n".join(excerpt.text for excerpt in excerpts)


def test_short_function() -> None:
    assert shown("x = 1\n\ndef f(x):\n    # why\n    y = x\n\n    return y\n", 7) == [
        "def f(x):\n    y = x\n    return y"
    ]


def test_long_function() -> None:
    assert shown(LONG, 20, 30) == [
        "def long(x):\n    ...\n    step_20 = 20\n    ...\n    step_30 = 30"
    ]


def test_method() -> None:
    source = (
        "class A:\n    class B:\n        @property\n        def f(self):\n            return 1\n"
    )
    assert shown(source, 5) == [
        "class A:\nclass B:\n    @property\n    def f(self):\n        return 1"
    ]


def test_module_statement() -> None:
    assert shown("import os\nRATE = 3\n\ndef f(): pass\n", 2) == ["RATE = 3"]


def test_lines_around() -> None:
    assert shown(LONG, 20, room=Room(500, function=8, around=1)) == [
        "def long(x):\n    ...\n    step_19 = 19\n    step_20 = 20\n    step_21 = 21"
    ]


def test_room() -> None:
    few = shown(SMALL, *range(2, 300, 3), room=Room(100, function=8))
    assert 1 <= sum(map(len, few)) <= 140
    assert sum(map(len, shown(SMALL, *range(2, 300, 3), room=SUSPECT_ROOM))) > 1500


def test_first_function_without_room() -> None:
    assert "step_20" in chosen(LONG, 20, room=Room(10, function=8))


def test_most_suspicious_functions() -> None:
    assert chosen(SMALL, 2, 5, 8, room=Room(60, function=8)) == (
        "def f0(x):\n    return x + 0\ndef f1(x):\n    return x + 1"
    )


def test_function_of_many_suspects_first() -> None:
    source = f"{LONG}def g(x):\n    return x\n"
    ranked = [10, 41, 11, 12]
    assert chosen(source, *ranked, room=Room(70, function=8)).startswith("def long(x):")


def test_raising_line_is_shown() -> None:
    frames = (Frame("shop.py", 31, "long", 1, LONG),)
    failure = Failure("test_a.py::test", "call", "KeyError", "", "", frames)
    text = chosen(LONG, 10, 11, failure=failure, room=Room(60, function=8))
    assert "step_31" in text


@pytest.mark.parametrize(
    "path",
    sorted(Path(excerpt.__file__).parent.glob("*.py")),
    ids=lambda path: path.name,
)
def test_shown_lines(path: Path) -> None:
    source = path.read_text()
    text = source.split("\n")
    lines = [("shop.py", line) for line in range(1, len(text), 7)]
    for result in select_excerpts(lines, SourceFiles(lambda _path: source)):
        for number in result.lines:
            line = text[number - 1].strip()
            assert line.startswith("#") or line[:150] in result.text
