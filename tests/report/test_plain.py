"""A model's words as they come: the same however they are divided, and nothing that a terminal would obey."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.report.plain import Plain
from pytest_starcoder.text.display import printable

any_text = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates as well
escapes = st.sampled_from(
    ["\x1b[31m", "\x1b]0;a title\x07", "\x1b", "\x9b", "\x07", "\r\n", "\r", "\t", " ", "\u202e"]
)
hostile = st.lists(any_text | escapes, max_size=8).map("".join)
cuts = st.lists(st.integers(0, 200))


def written(*pieces: str) -> list[str]:
    """Everything that was written, write by write."""
    seen: list[str] = []
    plain = Plain(seen.append)
    for piece in pieces:
        plain.add(piece)
    plain.end()
    return seen


def divided(text: str, places: list[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *sorted(places), len(text)])]


@given(hostile, cuts)
def test_however_a_text_is_divided_what_is_written_is_the_same(
    text: str, places: list[int]
) -> None:
    assert "".join(written(*divided(text, places))) == "".join(written(text))


@given(any_text.filter(lambda text: not {"\x1b", "\x9b"} & {*text}), cuts)
def test_a_text_without_escape_sequences_comes_out_as_it_is_printed(
    text: str, places: list[int]
) -> None:
    assert "".join(written(*divided(text, places))) == printable(text, tabs=True) + "\n"


@given(hostile, cuts)
def test_nothing_that_a_terminal_obeys_is_written(text: str, places: list[int]) -> None:
    out = "".join(written(*divided(text, places)))
    assert not [
        char for char in out if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs")
    ]
    assert "\u202e" not in out


def test_lines_and_indentation_stay() -> None:
    code = "def f():\n\tif x:\n        return  1\n"
    assert "".join(written(code)) == f"{code}\n"


def test_words_are_written_when_they_are_complete() -> None:
    assert written("The te", "st fails", " because", " of it") == [
        "The ",
        "test ",
        "fails ",
        "because of ",
        "it\n",
    ]


def test_an_escape_sequence_divided_by_the_pieces_is_seen_whole() -> None:
    assert (
        "".join(written("so \x1b", "[3", "1mred", "\x1b[0", "m it\x9b", "2J is"))
        == "so red it is\n"
    )


def test_the_line_end_of_windows_divided_by_the_pieces_is_one() -> None:
    assert "".join(written("a\r", "\nb")) == "a\nb\n"


def test_a_second_answer_does_not_begin_with_the_end_of_the_first() -> None:
    seen: list[str] = []
    plain = Plain(seen.append)
    for _ in range(2):
        plain.add("so")
        plain.end()
    assert seen == ["so\n", "so\n"]
