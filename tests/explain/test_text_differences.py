"""Differences of two strings or bytes."""

from __future__ import annotations

import pytest

from pytest_starcoder.explain.differences import differences


class Name(str):
    pass


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        ("apple", "apply", ["they differ from index 4 on: 'apple' instead of 'apply'"]),
        (
            "Apple",
            "apple",
            [
                "they differ only in case",
                "they differ from index 0 on: 'Apple' instead of 'apple'",
            ],
        ),
        (
            "a b\n",
            "a  b",
            [
                "they differ only in whitespace",
                "they differ from index 2 on: 'a b\\n' instead of 'a  b'",
            ],
        ),
        ("abc", "abcdef", ["3 characters missing at the end: 'def'"]),
        ("abcdef", "abc", ["3 characters too many at the end: 'def'"]),
        ("def", "abcdef", ["3 characters missing at the start: 'abc'"]),
        ("", "a", ["1 character missing at the end: 'a'"]),
        ("total", "total\n", ["the value ends with 0 newlines, the expected text with 1"]),
        ("total\n\n", "total\n", ["the value ends with 2 newlines, the expected text with 1"]),
        ("a\r\nb", "a\nb", ["they differ only in line endings"]),
        ("a\nb\nc", "a\nx\nc", ["they differ from line 2 on: 'b\\nc' instead of 'x\\nc'"]),
        ("a\u00a0b", "a b", ["they differ only in whitespace"]),
        ("pa\u200by", "pay", ["they differ from index 2 on: 'pa\\u200by' instead of 'pay'"]),
        (
            "ab",
            "ax\u00df",
            ["they differ from index 1 on: 'ab' instead of 'axß'", "2 characters instead of 3"],
        ),
        ("\ufb01le", "file", ["they look alike, but consist of different characters"]),
        (Name("apple"), "apply", ["they differ from index 4 on: 'apple' instead of 'apply'"]),
        (b"ab", b"ac", ["they differ from byte 1 on: b'ab' instead of b'ac'"]),
        (
            b"ab",
            b"abc",
            ["they differ from byte 2 on: b'ab' instead of b'abc'", "2 bytes instead of 3"],
        ),
    ],
)
def test_texts(actual: object, expected: object, sentences: list[str]) -> None:
    assert list(differences("==", actual, expected))[: len(sentences)] == sentences


def test_lookalike_characters() -> None:
    assert "U+00A0 NO-BREAK SPACE instead of ' '" in differences("==", "a\u00a0b", "a b")
    assert "U+200B ZERO WIDTH SPACE instead of 'y'" in differences("==", "pa\u200by", "pay")
    assert "'p' instead of U+0440 CYRILLIC SMALL LETTER ER" in differences("==", "pay", "\u0440ay")
    assert "U+0007 instead of 'x'" in differences("==", "a\x07b", "axb")


def test_large_texts() -> None:
    assert differences("==", "x" * 5_000_000 + "a", "x" * 5_000_000 + "b")[0].startswith(
        "they differ from index 5000000 on"
    )


def test_one_moment_in_two_time_zones() -> None:
    actual, expected = "2024-07-01T12:00:00+02:00", "2024-07-01T10:00:00Z"
    sentence = "both are the same moment, written in different time zones"
    assert differences("==", actual, expected)[0] == sentence
    assert sentence not in differences("==", actual, "2024-07-01T11:00:00Z")
    assert sentence not in differences("==", "2024-99-01T12:00:00+02:00", expected)
