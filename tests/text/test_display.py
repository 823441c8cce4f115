"""Text for terminals and reports has no control characters."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.text.display import counted, cut_between_words, one_line, printable

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates as well
escapes = st.sampled_from(["\x1b[31m", "\x1b]0;", "\x07", "\x9b", "\x1b", "\r", "\u202e"])
hostile = st.lists(st.one_of(any_text, escapes))


@given(hostile.map("".join))
def test_control_characters(text: str) -> None:
    shown = printable(text)
    assert not [
        char for char in shown if char != "\n" and unicodedata.category(char) in ("Cc", "Cs")
    ]
    assert "\x1b" not in shown


@given(hostile.map("".join))
def test_utf8_result(text: str) -> None:
    printable(text).encode("utf-8")
    one_line(text).encode("utf-8")


@given(hostile.map("".join))
def test_only_tabs_differ(text: str) -> None:
    assert printable(text, tabs=True).replace("\t", " ") == printable(text)


def test_tabs_in_code() -> None:
    assert printable("if x:\r\n\t\x1b[1my()\t\x07", tabs=True) == "if x:\n\ty()\t"


@given(hostile.map("".join))
def test_printable_is_idempotent(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(hostile.map("".join), st.integers(2, 50))
def test_one_line_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line.splitlines()) <= 1
    assert len(line) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x1b]52;c;aGVsbG8=\x07", ""),
        ("\x1bP1$r\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b(Bcharset", "charset"),
        ("over\rwritten", "overwritten"),
        ("a\r\nb", "a\nb"),
        ("a\tb", "a b"),
        ("\a\b\x00\x7f", ""),
        ("user\u202eetirw", "useretirw"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("nai\u0308f 日本 🎉", "nai\u0308f 日本 🎉"),
        ("👩\u200d💻 \u0645\u06cc\u200c\u062e", "👩\u200d💻 \u0645\u06cc\u200c\u062e"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_escape_sequences(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_cut_line() -> None:
    assert one_line("word " * 100, 11) == "word word…"
    assert one_line("short", 12) == "short"
    assert one_line("exactly12345", 12) == "exactly12345"


def test_huge_text() -> None:
    assert one_line("a" * 50_000_000, 10) == "aaaaaaaaa…"


def test_folded_white_space() -> None:
    assert one_line("  a\n\n\tb \u2028 c ") == "a b c"


def test_counted_nouns() -> None:
    assert [counted(number, "cause") for number in (0, 1, 2)] == ["0 causes", "1 cause", "2 causes"]


def test_cut_between_words() -> None:
    assert cut_between_words("short", 5) == "short"
    assert cut_between_words('{"name": "secret", "x": 1}', 14) == '{"name":…'
    assert cut_between_words("a" * 100, 10) == "…"
