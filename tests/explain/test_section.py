"""The section in the terminal: wrapped, streamed, waited for, and free of control characters."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.explanation import Explanation, Suspect
from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.explain.section import TerminalSection

MEAN = Frame(
    "shop/pricing.py", 14, "mean", 12, "def mean(xs):\n\n    return sum(xs) / (len(xs) - 1)"
)
TEST = Frame("tests/test_shop.py", 5, "test_mean", 4, "def test_mean():\n    assert mean([]) == 2")
TOLD = Explanation(
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


class Screen:
    """A section and all that it wrote."""

    def __init__(self, width: int = 80, *, live: bool = False) -> None:
        self.written: list[str] = []
        self.section = TerminalSection(self.written.append, width, live=live)

    @property
    def text(self) -> str:
        return "".join(self.written)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def columns(line: str) -> int:
    wide = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1)
        for c in line
    )


def test_a_cause_is_shown_with_where_it_happened_and_what_it_calls() -> None:
    screen = Screen()
    screen.section.observed(1, 12, TOLD)
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


def test_on_forty_columns_everything_but_the_command_is_wrapped() -> None:
    screen = Screen(40)
    screen.section.observed(1, 1, TOLD)
    screen.section.rerun(TOLD.nodeids)
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


def test_everything_that_is_known_has_its_line_before_the_model_is_asked() -> None:
    screen = Screen()
    told = replace(
        TOLD,
        facts=("the divisor len(xs) - 1 is 0",),
        calls=(),
        suspects=tuple(
            Suspect("shop/pricing.py", line, f"line {line}", 1.0, ("changed",))
            for line in (14, 15, 16, 17)
        ),
        replay=("failed again when it was run again",),
        extra=("the last query: SELECT 1",),
    )
    screen.section.observed(1, 1, told)
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
        "     checked   failed again when it was run again",
        "     also      the last query: SELECT 1",
    ]


def test_a_guess_is_not_among_what_is_observed() -> None:
    screen = Screen()
    screen.section.observed(1, 1, replace(TOLD, why="it divides by zero", model="tiny"))
    assert "it divides" not in screen.text


@pytest.mark.parametrize(
    ("nodeids", "whose"),
    [
        (("tests/test_shop.py::test_mean",), "tests/test_shop.py::test_mean"),
        (("one", "other"), "2 tests"),
    ],
)
def test_a_cause_names_its_test_or_says_how_many(nodeids: tuple[str, ...], whose: str) -> None:
    screen = Screen(200)
    screen.section.observed(1, 1, replace(TOLD, nodeids=nodeids))
    assert screen.lines[0] == f"1/1  shop/pricing.py:14 in mean · ZeroDivisionError · {whose}"


def test_all_tests_of_a_cause_are_named_the_parameters_of_one_function_together() -> None:
    screen = Screen()
    screen.section.tests(["t.py::a[1]", "t.py::b", "t.py::a[2]", "t.py::a[x-y]"])
    screen.section.tests(["t.py::alone"])
    assert screen.lines == ["     tests     t.py::a[1] [2] [x-y], t.py::b"]


def test_a_failure_without_a_frame_says_in_which_phase_it_was() -> None:
    screen = Screen()
    collected = Explanation(
        "invalid", exception="SyntaxError", phase="collect", nodeids=("test_a.py",)
    )
    screen.section.observed(1, 1, collected)
    screen.section.observed(
        1, 1, Explanation("[XPASS]", exception="failure", phase="call", nodeids=("test_a.py::t",))
    )
    assert screen.lines == [
        "1/1  collect · SyntaxError · test_a.py",
        "     seen      invalid",
        "1/1  failure · test_a.py::t",
        "     seen      [XPASS]",
    ]


def test_the_command_is_one_that_a_shell_reads() -> None:
    screen = Screen(40)
    screen.section.rerun(["tests/test_a.py::first", "tests/test_a.py::test_it[a b-$HOME]"])
    assert (
        screen.text
        == "     rerun     pytest tests/test_a.py::first 'tests/test_a.py::test_it[a b-$HOME]'\n"
    )


def test_a_text_is_shown_as_it_is_between_rulers() -> None:
    screen = Screen(40)
    screen.section.verbatim("prompt 1 of 1", "def f():\n\treturn '\x1b[31m'\n")
    assert screen.lines == [
        "----- prompt 1 of 1 -------------------",
        "def f():",
        "\treturn ''",
        "----- end -----------------------------",
    ]


def test_words_are_shown_as_they_are_complete() -> None:
    screen = Screen()
    shown = []
    for piece in ("The te", "st fails", " because", " of it"):
        screen.section.stream(piece)
        shown.append(screen.text)
    screen.section.end(" (tiny, a guess)")
    assert shown == [
        "     why       The",
        "     why       The test",
        "     why       The test fails",
        "     why       The test fails because of",
    ]
    assert screen.text == "     why       The test fails because of it (tiny, a guess)\n"


def test_ending_what_was_not_begun_writes_nothing() -> None:
    screen = Screen()
    assert screen.section.end(" (tiny, a guess)") is False
    assert screen.text == ""


def test_two_answers_are_two_paragraphs() -> None:
    screen = Screen()
    for _ in range(2):
        screen.section.stream("so it is")
        assert screen.section.end("") is True
    assert screen.lines == ["     why       so it is"] * 2


def test_wide_characters_take_two_columns() -> None:
    screen = Screen(40)
    screen.section.say("why", "除数が一つ小さいのでこのテストは失敗します。" * 2)
    assert len(screen.lines) == 4
    assert all(columns(line) <= 40 for line in screen.lines)


def test_escape_sequences_cut_in_two_by_the_stream_are_seen_whole() -> None:
    screen = Screen()
    for piece in ("so \x1b", "[3", "1mred", "\x1b[0", "m it\x9b", "2J is"):
        screen.section.stream(piece)
    screen.section.end("")
    assert screen.text == "     why       so red it is\n"


@given(text=st.text(max_size=300), cuts=st.lists(st.integers(0, 300)), width=st.integers(20, 120))
def test_however_an_answer_is_divided_the_screen_is_the_same(
    text: str, cuts: list[int], width: int
) -> None:
    whole, divided = Screen(width), Screen(width)
    whole.section.stream(text)
    places = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(places):
        divided.section.stream(text[start:end])
    for screen in (whole, divided):
        screen.section.end(" (tiny, a guess)")
    assert divided.text == whole.text
    assert all(columns(line) <= max(width, 40) for line in whole.lines)
    assert not [char for char in whole.text if unicodedata.category(char) == "Cc" and char != "\n"]


TEXTS = st.lists(st.text(max_size=99), max_size=3).map(tuple)


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
def test_whatever_a_failure_says_no_line_is_too_long_and_none_has_control_characters(
    told: Explanation,
) -> None:
    screen = Screen()
    screen.section.observed(1, 1, told)
    screen.section.tests(told.nodeids)
    assert all(columns(line) <= 80 for line in screen.text.split("\n"))
    assert not [char for char in screen.text if unicodedata.category(char) == "Cc" and char != "\n"]


@pytest.mark.slow
def test_the_first_word_of_an_answer_stands_where_the_waiting_was() -> None:
    screen = Screen(live=True)
    with screen.section.waiting("why", "starcoder2:7b"):
        until(lambda: bool(screen.written))
        screen.section.stream("so ")
    screen.section.end("")
    line = "     why       asking starcoder2:7b, 1 s"
    assert screen.text == f"\r{line}\r{' ' * len(line)}\r     why       so\n"


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
