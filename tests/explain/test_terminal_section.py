"""The section in the terminal."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.failures import Screen

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.explanation import Explanation, Suspect
from pytest_starcoder.explain.failure import Frame

MEAN = Frame(
    "shop/pricing.py", 14, "mean", 12, "def mean(xs):\n\n    return sum(xs) / (len(xs) - 1)"
)
TEST = Frame("tests/test_shop.py", 5, "test_mean", 4, "def test_mean():\n    assert mean([]) == 2")
EXPLANATION = Explanation(
    "raised by zero",
    exception="ZeroDivisionError",
    phase="call",
    path="shop/pricing.py",
    line=14,
    function="mean",
    nodeids=("tests/test_shop.py::test_mean",),
    frames=(TEST, MEAN),
    calls=(MEAN,),
)


def columns(line: str) -> int:
    wide = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1)
        for c in line
    )


def test_evidence() -> None:
    screen = Screen()
    screen.section.show_evidence(1, 12, EXPLANATION)
    assert screen.lines == [
        "1/12 shop/pricing.py:14 in mean · ZeroDivisionError ·",
        "     tests/test_shop.py::test_mean",
        "     seen      raised by zero",
        "     at        tests/test_shop.py:5 in test_mean",
        "                   assert mean([]) == 2",
        "               shop/pricing.py:14 in mean",
        "                   return sum(xs) / (len(xs) - 1)",
        "     calls     shop/pricing.py:14 mean",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "3/12 ZeroDivisionError · shop/pricing.py:14 in mean · 1 test"),
        ({"nodeids": ("a", "b")}, "3/12 ZeroDivisionError · shop/pricing.py:14 in mean · 2 tests"),
        ({"path": ""}, "3/12 ZeroDivisionError · tests/test_shop.py::test_mean · 1 test"),
        ({"path": "", "nodeids": ("a", "b")}, "3/12 ZeroDivisionError · call · 2 tests"),
        (
            {"function": "m" * 90},
            f"3/12 ZeroDivisionError · shop/pricing.py:14 in {'m' * 22}… · 1 test",
        ),
    ],
    ids=["one", "several", "no-place", "several-without-place", "too-long"],
)
def test_cause_on_a_line(changes: dict[str, Any], line: str) -> None:
    screen = Screen()
    screen.section.show_line(3, 12, replace(EXPLANATION, **changes))
    assert screen.lines == [line]


def test_narrow_terminal() -> None:
    screen = Screen(40)
    screen.section.show_evidence(1, 1, EXPLANATION)
    screen.section.show_command(EXPLANATION.nodeids)
    assert screen.lines == [
        "1/1  shop/pricing.py:14 in mean ·",
        "     ZeroDivisionError ·",
        "     tests/test_shop.py::test_mean",
        "     seen      raised by zero",
        "     at        tests/test_shop.py:5 in",
        "               test_mean",
        "                   assert mean([]) == 2",
        "               shop/pricing.py:14 in",
        "               mean",
        "                   return sum(xs) / (le…",
        "     calls     shop/pricing.py:14 mean",
        "     rerun     pytest tests/test_shop.py::test_mean",
    ]


def test_all_kinds_of_evidence() -> None:
    screen = Screen()
    explanation = replace(
        EXPLANATION,
        facts=("the divisor len(xs) - 1 is 0",),
        calls=(),
        suspects=tuple(
            Suspect("shop/pricing.py", line, f"line {line}", 1.0, ("changed",))
            for line in (14, 15, 16, 17)
        ),
        replay=("failed again when rerun",),
        extra=("the last query: SELECT 1",),
    )
    screen.section.show_evidence(1, 1, explanation)
    assert screen.lines[2:] == [
        "     seen      raised by zero",
        "               the divisor len(xs) - 1 is 0",
        "     suspect   shop/pricing.py:14: line 14 (changed)",
        "               shop/pricing.py:15: line 15 (changed)",
        "               shop/pricing.py:16: line 16 (changed)",
        "     at        tests/test_shop.py:5 in test_mean",
        "                   assert mean([]) == 2",
        "               shop/pricing.py:14 in mean",
        "                   return sum(xs) / (len(xs) - 1)",
        "     checked   failed again when rerun",
        "     also      the last query: SELECT 1",
    ]


def test_no_guess_in_the_evidence() -> None:
    screen = Screen()
    screen.section.show_evidence(1, 1, replace(EXPLANATION, why="it divides by zero", model="tiny"))
    assert "it divides" not in screen.text


# --- the change that broke it ---

TOTAL = BrokenBy(
    "report.py",
    31,
    31,
    "-        totals[row.region] = totals.get(row.region, 0) + row.amount\n"
    "+        totals[row.region] = row.amount",
)
BROKEN = Breakage(
    (TOTAL,),
    since="the last commit",
    failing=tuple(f"t.py::{number}" for number in range(6)),
    passing=tuple(f"p.py::{number}" for number in range(14)),
    total=17,
    files=5,
    harmless=True,
)


def breakage_on(screen: Screen, breakage: Breakage) -> list[str]:
    """Return the lines about a breakage."""
    screen.section.show_evidence(1, 1, Explanation("SEEN", breakage=breakage))
    return screen.lines[2:]


def test_change_that_broke_it() -> None:
    assert breakage_on(Screen(120), BROKEN) == [
        "     broke     report.py:31, changed since the last commit: undoing it, 6 failing tests "
        "pass and 14 neighbours still do",
        "                   -        totals[row.region] = totals.get(row.region, 0) + row.amount",
        "                   +        totals[row.region] = row.amount",
        "               1 of 17 changes in 5 files; the other 16 make no difference",
    ]


def test_change_on_narrow_terminal() -> None:
    assert breakage_on(Screen(40), BROKEN) == [
        "     broke     report.py:31, changed",
        "               since the last commit:",
        "               undoing it, 6 failing",
        "               tests pass and 14",
        "               neighbours still do",
        "                   -        totals[row.region] = totals.get(row.region, 0) + row.amount",
        "                   +        totals[row.region] = row.amount",
        "               1 of 17 changes in 5",
        "               files; the other 16 make",
        "               no difference",
    ]


def test_deleted_line() -> None:
    breakage = replace(BROKEN, pieces=(BrokenBy("report.py", 31, 30, "-    check(row)"),))
    assert breakage_on(Screen(120), breakage)[:3] == [
        "     broke     report.py:31, where a line was deleted since the last commit: undoing it, "
        "6 failing tests pass and 14",
        "               neighbours still do",
        "                   -    check(row)",
    ]


def test_several_changes() -> None:
    renamed = (
        BrokenBy("old.py", 1, 0, "-x = 1", whole=True),
        BrokenBy("new.py", 1, 1, "+x = 1", whole=True),
    )
    assert breakage_on(Screen(120), replace(BROKEN, pieces=renamed, total=2))[2:] == [
        "                 old.py (deleted)",
        "                   -x = 1",
        "                 new.py (new file)",
        "                   +x = 1",
    ]


def test_change_in_either_place() -> None:
    other = BrokenBy("tax.py", 3, 3, "-a\n+b")
    lines = breakage_on(Screen(120), replace(BROKEN, either=((other,),)))
    assert [line.strip() for line in lines[2:-1]] == [
        "report.py:31",
        "-        totals[row.region] = totals.get(row.region, 0) + row.amount",
        "+        totals[row.region] = row.amount",
        "tax.py:3",
        "-a",
        "+b",
    ]


def test_long_change() -> None:
    added = "\n".join(f"+line {number}" for number in range(1, 302))
    lines = breakage_on(Screen(120), replace(BROKEN, pieces=(BrokenBy("a.py", 1, 301, added),)))
    assert len(lines) == 14
    assert lines[-3:-1] == ["                   +line 11", "                   … 290 more lines"]


def test_many_changes() -> None:
    pieces = tuple(BrokenBy("a.py", line, line, "-a\n+b") for line in range(1, 8))
    lines = breakage_on(Screen(120), replace(BROKEN, pieces=pieces))
    assert lines[-2] == "                 … 3 more changes"
    assert len([line for line in lines if line.endswith("+b")]) == 4


def test_order_and_change() -> None:
    breakage = replace(BROKEN, after=("test_flags.py::test_override",), state="DEFAULTS")
    lines = breakage_on(Screen(120), breakage)
    assert (
        lines[0] == "     broke     after test_flags.py::test_override: it leaves DEFAULTS changed"
    )
    assert lines[1].startswith("               report.py:31, changed since the last commit: ")


def test_no_change_named() -> None:
    left_out = ("logo.png (binary)", "vendored (symbolic link or submodule)", "a", "b")
    note = "not by the changes since the last commit: it fails the same way without them"
    assert breakage_on(Screen(120), Breakage(note=note, left_out=left_out)) == [
        "     broke     not by the changes since the last commit: it fails the same way without "
        "them",
        "               not undone: logo.png (binary), vendored (symbolic link or submodule) "
        "and 2 more",
    ]


def test_changes_left_out_beside_named_one() -> None:
    lines = breakage_on(Screen(120), replace(BROKEN, left_out=("logo.png (binary)",)))
    assert not any("logo.png" in line for line in lines)


def test_hostile_change() -> None:
    diff = "-\x1b[31ma\u202e\n+" + "x" * 1000
    hostile = BrokenBy("\x1b[2Ja.py", 3, 3, diff, commit="1f3c9ab \x1b]0;title\x07")
    screen = Screen()
    breakage_on(screen, replace(BROKEN, pieces=(hostile,), either=((hostile,),)))
    assert "\x1b" not in screen.text
    assert "\u202e" not in screen.text
    assert max(map(len, screen.lines)) < 430


# --- the heading and the tests ---


@pytest.mark.parametrize(
    ("nodeids", "tests"),
    [
        (("tests/test_shop.py::test_mean",), "tests/test_shop.py::test_mean"),
        (("one", "other"), "2 tests"),
    ],
)
def test_heading(nodeids: tuple[str, ...], tests: str) -> None:
    screen = Screen(200)
    screen.section.show_evidence(1, 1, replace(EXPLANATION, nodeids=nodeids))
    assert screen.lines[0] == f"1/1  shop/pricing.py:14 in mean · ZeroDivisionError · {tests}"


def test_parameters_of_one_function() -> None:
    screen = Screen()
    screen.section.show_tests(["t.py::a[1]", "t.py::b", "t.py::a[2]", "t.py::a[x-y]"])
    screen.section.show_tests(["t.py::alone"])
    assert screen.lines == ["     tests     t.py::a[1] [2] [x-y], t.py::b"]


def test_failure_without_frames() -> None:
    screen = Screen()
    collected = Explanation(
        "invalid", exception="SyntaxError", phase="collect", nodeids=("test_a.py",)
    )
    screen.section.show_evidence(1, 1, collected)
    screen.section.show_evidence(
        1, 1, Explanation("[XPASS]", exception="failure", phase="call", nodeids=("test_a.py::t",))
    )
    assert screen.lines == [
        "1/1  collect · SyntaxError · test_a.py",
        "     seen      invalid",
        "1/1  failure · test_a.py::t",
        "     seen      [XPASS]",
    ]


def test_command() -> None:
    screen = Screen(40)
    screen.section.show_command(["tests/test_a.py::first", "tests/test_a.py::test_it[a b-$HOME]"])
    assert (
        screen.text
        == "     rerun     pytest tests/test_a.py::first 'tests/test_a.py::test_it[a b-$HOME]'\n"
    )


def test_text_between_rulers() -> None:
    screen = Screen(40)
    screen.section.show_text("prompt 1 of 1", "def f():\n\treturn '\x1b[31m'\n")
    assert screen.lines == [
        "----- prompt 1 of 1 -------------------",
        "def f():",
        "\treturn ''",
        "----- end -----------------------------",
    ]


def test_complete_words() -> None:
    screen = Screen()
    shown = []
    for piece in ("The te", "st fails", " because", " of it"):
        screen.section.stream(piece)
        shown.append(screen.text)
    screen.section.end_stream(" (tiny, a guess)")
    assert shown == [
        "     why       The",
        "     why       The test",
        "     why       The test fails",
        "     why       The test fails because of",
    ]
    assert screen.text == "     why       The test fails because of it (tiny, a guess)\n"


def test_end_of_nothing() -> None:
    screen = Screen()
    assert screen.section.end_stream(" (tiny, a guess)") is False
    assert screen.text == ""


def test_two_answers() -> None:
    screen = Screen()
    for _ in range(2):
        screen.section.stream("so it is")
        assert screen.section.end_stream("") is True
    assert screen.lines == ["     why       so it is"] * 2


def test_wide_characters() -> None:
    screen = Screen(40)
    screen.section.say("why", "除数が一つ小さいのでこのテストは失敗します。" * 2)
    assert len(screen.lines) == 4
    assert all(columns(line) <= 40 for line in screen.lines)


def test_divided_escape_sequences() -> None:
    screen = Screen()
    for piece in ("so \x1b", "[3", "1mred", "\x1b[0", "m it\x9b", "2J is"):
        screen.section.stream(piece)
    screen.section.end_stream("")
    assert screen.text == "     why       so red it is\n"


@settings(max_examples=40)
@given(text=st.text(max_size=300), cuts=st.lists(st.integers(0, 300)), width=st.integers(20, 120))
def test_division(text: str, cuts: list[int], width: int) -> None:
    whole, divided = Screen(width), Screen(width)
    whole.section.stream(text)
    places = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(places):
        divided.section.stream(text[start:end])
    for screen in (whole, divided):
        screen.section.end_stream(" (tiny, a guess)")
    assert divided.text == whole.text
    assert all(columns(line) <= max(width, 40) for line in whole.lines)
    assert not [char for char in whole.text if unicodedata.category(char) == "Cc" and char != "\n"]


TEXTS = st.lists(st.text(max_size=99), max_size=3).map(tuple)


@settings(max_examples=30)
@given(
    st.builds(
        Explanation,
        seen=st.text(max_size=300),
        exception=st.text(max_size=99),
        nodeids=st.lists(st.text(max_size=99), min_size=1, max_size=3).map(tuple),
        facts=TEXTS,
        replay=TEXTS,
        extra=TEXTS,
        suspects=st.lists(
            st.builds(Suspect, st.text(max_size=50), st.just(1), st.text(max_size=99)), max_size=3
        ).map(tuple),
    )
)
def test_hostile_texts(
    explanation: Explanation,
) -> None:
    screen = Screen()
    screen.section.show_evidence(1, 1, explanation)
    screen.section.show_tests(explanation.nodeids)
    assert all(columns(line) <= 80 for line in screen.text.split("\n"))
    assert not [char for char in screen.text if unicodedata.category(char) == "Cc" and char != "\n"]


@pytest.mark.slow
def test_status_line_before_an_answer() -> None:
    screen = Screen(live=True)
    with screen.section.status("why", "asking starcoder2:7b"):
        until(lambda: bool(screen.writes))
        screen.section.stream("so ")
    screen.section.end_stream("")
    line = "     why       asking starcoder2:7b, 1 s"
    assert screen.text == f"\r{line}\r{' ' * len(line)}\r     why       so\n"


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
