"""The code that a prompt shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.explain.excerpt import (
    MAX_PRIME_LINES,
    NARROW_ROOM,
    WIDE_ROOM,
    Room,
    choose_room,
    select_excerpts,
)
from pytest_starcoder.explain.suspicion import (
    ochiai,
)
from pytest_starcoder.source.sources import SourceFiles

# --- what is shown ---

LONG = "\n".join(
    ["def long(x):", *(f"    step_{number} = {number}" for number in range(2, 40)), ""]
)


def shown(source: str, *lines: int, room: Room = NARROW_ROOM) -> list[str]:
    ranked_lines = [("shop.py", line) for line in lines]
    scores = dict.fromkeys(ranked_lines, 1.0)
    return [
        result.text
        for result in select_excerpts(
            ranked_lines, scores, SourceFiles(lambda _path: source), (), room
        )
    ]


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


def test_room() -> None:
    functions = "\n".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(100))
    few = shown(functions, *range(2, 300, 3), room=Room(100, 0.9, 100, 0))
    assert 1 <= sum(map(len, few)) <= 140
    assert sum(map(len, shown(functions, *range(2, 300, 3), room=WIDE_ROOM))) > 2000


def test_room_by_score() -> None:
    functions = "\n".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(100))
    lines = [("shop.py", line) for line in range(2, 300, 3)]
    scores = {line: 1.0 if number < 5 else 0.1 for number, line in enumerate(lines)}
    assert (
        len(
            select_excerpts(
                lines, scores, SourceFiles(lambda _path: functions), (), Room(10, 0.9, 1000, 0)
            )
        )
        == 5
    )


def test_room_for_related_lines() -> None:
    lines = [("shop.py", line) for line in (2, 30)]
    result = select_excerpts(
        lines[:1],
        dict.fromkeys(lines, 1.0),
        SourceFiles(lambda _path: LONG),
        lines[1:],
        Room(10, 0.9, 10, 100),
    )
    assert "step_30" in result[0].text


def test_wide_room() -> None:
    lines = [("shop.py", line) for line in range(1, 9)]
    few = {line: 1.0 if number < MAX_PRIME_LINES else 0.5 for number, line in enumerate(lines)}
    many = dict.fromkeys(lines, 1.0)
    assert choose_room("AssertionError", lines, few) == WIDE_ROOM
    assert choose_room("AssertionError", lines, many) == NARROW_ROOM
    assert choose_room("KeyError", lines, few) == NARROW_ROOM


@pytest.mark.parametrize(
    "path",
    sorted(Path(ochiai.__code__.co_filename).parent.glob("*.py")),
    ids=lambda path: path.name,
)
def test_shown_lines(path: Path) -> None:
    source = path.read_text()
    text = source.split("\n")
    lines = [("shop.py", line) for line in range(1, len(text), 7)]
    for result in select_excerpts(
        lines, dict.fromkeys(lines, 1.0), SourceFiles(lambda _path: source), (), WIDE_ROOM
    ):
        for number in result.lines:
            line = text[number - 1].strip()
            assert line.startswith("#") or line[:150] in result.text
