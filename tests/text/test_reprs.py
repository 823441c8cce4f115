"""Short representations of hostile and huge values."""

from __future__ import annotations

import os

import pytest

from pytest_starcoder.text.reprs import safe_str, short_repr


class Failing:
    def __repr__(self) -> str:
        raise SystemExit


class FailingText:
    def __str__(self) -> str:
        raise SystemExit


def test_failing_str() -> None:
    assert safe_str(FailingText()) == "<its str raises SystemExit>"
    assert safe_str(3) == "3"


class MisnamedList:
    """Has the class name of a list, but no length."""


MisnamedList.__name__ = "list"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1]}, "{'a': [1]}"),
        ("a\nb\x1b[1m", r"'a\nb\x1b[1m'"),
        (Failing(), "<Failing whose repr raises SystemExit>"),
        (MisnamedList(), "<list whose repr raises TypeError>"),
    ],
    ids=["plain", "escaped", "failing", "misnamed"],
)
def test_short_repr(value: object, text: str) -> None:
    assert short_repr(value) == text


def test_no_address() -> None:
    assert short_repr(object()) == "<object object>"


def test_huge_value() -> None:
    assert len(short_repr([["x" * 1000] * 1000] * 1000)) <= 240


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the environment are not shown, in copies either."""
    for number in range(6):
        monkeypatch.setenv(f"SHOP_{number}", f"s3cret{number}")
    for value in (os.environ, dict(os.environ), {**os.environ, "EXTRA": "1"}, [os.environ.copy()]):
        text = short_repr(value)
        assert "s3cret" not in text
        assert "<the environment variables>" in text
    assert short_repr({"SHOP_1": "a"}) == "{'SHOP_1': 'a'}"
