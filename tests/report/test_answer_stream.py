"""A model's answer as plain text."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.report.answer_stream import PlainText
from pytest_starcoder.text.display import printable

any_text = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates as well
escapes = st.sampled_from(
    ["\x1b[31m", "\x1b]0;a title\x07", "\x1b", "\x9b", "\x07", "\r\n", "\r", "\t", " ", "\u202e"]
)
hostile_text = st.lists(any_text | escapes, max_size=8).map("".join)
cuts = st.lists(st.integers(0, 200))


def write(*pieces: str) -> list[str]:
    """Return everything that is written of these pieces, write by write."""
    writes: list[str] = []
    text = PlainText(writes.append)
    for piece in pieces:
        text.add(piece)
    text.end()
    return writes


def divide(text: str, places: list[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *sorted(places), len(text)])]


@given(hostile_text, cuts)
def test_division(text: str, places: list[int]) -> None:
    assert "".join(write(*divide(text, places))) == "".join(write(text))


@given(any_text.filter(lambda text: not {"\x1b", "\x9b"} & {*text}), cuts)
def test_ordinary_text(text: str, places: list[int]) -> None:
    assert "".join(write(*divide(text, places))) == printable(text, tabs=True) + "\n"


@given(hostile_text, cuts)
def test_control_characters(text: str, places: list[int]) -> None:
    output = "".join(write(*divide(text, places)))
    for character in output.replace("\n", "").replace("\t", ""):
        assert unicodedata.category(character) not in ("Cc", "Cs")
    assert "\u202e" not in output


def test_indentation() -> None:
    code = "def f():\n\tif x:\n        return  1\n"
    assert "".join(write(code)) == f"{code}\n"


def test_complete_words() -> None:
    pieces = ("The te", "st fails", " because", " of it")
    assert write(*pieces) == ["The ", "test ", "fails ", "because of ", "it\n"]


def test_divided_escape_sequence() -> None:
    pieces = ("so \x1b", "[3", "1mred", "\x1b[0", "m it\x9b", "2J is")
    assert "".join(write(*pieces)) == "so red it is\n"


def test_divided_line_end() -> None:
    assert "".join(write("a\r", "\nb")) == "a\nb\n"


def test_second_text() -> None:
    writes: list[str] = []
    text = PlainText(writes.append)
    for _ in range(2):
        text.add("so")
        text.end()
    assert writes == ["so\n", "so\n"]
