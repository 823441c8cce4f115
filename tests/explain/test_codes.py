"""Integers that are names are not called too large or too small."""

from __future__ import annotations

import ast
import enum
from pathlib import Path

import pytest
from support.raising import observe

from pytest_starcoder.explain.assertions import Comparison, value_differences
from pytest_starcoder.explain.codes import is_code
from pytest_starcoder.explain.differences import differences


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("response.status_code", True),
        ("get('/').status_code", True),
        ("reply['statusCode']", True),
        ("user.id", True),
        ("exit_code()", True),
        ("total", False),
        ("index", False),
        ("status_count", False),
        ("3", False),
    ],
)
def test_names_of_codes(code: str, expected: bool) -> None:
    assert is_code(ast.parse(code, mode="eval").body) is expected


def sentences(code: str, first: object, second: object) -> tuple[str, ...]:
    [statement] = ast.parse(code).body
    assert isinstance(statement, ast.Assert)
    return value_differences(statement, Comparison.of_values("==", first, second))


def test_status_codes() -> None:
    expected = ("404 is Not Found, 200 is OK",)
    assert sentences("assert r.status_code == 200", 404, 200) == expected
    assert sentences("assert 200 == r.status_code", 200, 404) == expected


def test_identifiers() -> None:
    assert sentences("assert user.id == 200", 404, 200) == ()
    assert sentences("assert status == 9", 404, 9) == ()
    assert sentences("assert total == 200", 404, 200)[0] == "the value is too large by 204"


def test_unittest_status_codes(tmp_path: Path) -> None:
    code = "import unittest\nstatus = 404\nunittest.TestCase().assertEqual({})"
    expected = "404 is Not Found, 200 is OK"
    assert observe(code.format("status, 200"), tmp_path)[0] == expected
    assert observe(code.format("200, status"), tmp_path)[0] == expected


@pytest.mark.parametrize(
    ("actual", "expected", "sentence"),
    [
        (Level.LOW, 3, "3 is Level.HIGH"),
        (3, Level.LOW, "3 is Level.HIGH"),
        (Level.LOW, 9, "Level has no member 9"),
    ],
)
def test_enum_members(actual: object, expected: object, sentence: str) -> None:
    assert differences("==", actual, expected) == (sentence,)


def test_members_of_one_enum() -> None:
    assert differences("==", Level.LOW, Level.HIGH) == ()
    assert differences("==", Access.READ, 8) == ()
