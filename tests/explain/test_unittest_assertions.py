"""Assertions of unittest, with the values that its messages shorten."""

from __future__ import annotations

import unittest
from pathlib import Path

import pytest
from support.raising import raised_in

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.source.project import Project

ITEM = (
    "import dataclasses\n"
    "Item = dataclasses.make_dataclass('Item', ['name', 'quantity'])\n"
    "item = Item('a rather long name of an item', -1)\n"
)


def failed(code: str, tmp_path: Path) -> Failure:
    """Return the failure of a method of a test case."""
    exc, _ = raised_in(tmp_path / "test_x.py", ITEM + code, test=unittest.TestCase(), total=3)
    return capture_failure(exc, "test_x.py::test", "call", Project(tmp_path))


def test_long_values(tmp_path: Path) -> None:
    failure = failed("test.assertEqual(item, Item('a rather long name of an item', 1))", tmp_path)
    assert failure.seen.startswith(
        "item is Item(name='a rather long name of an item', quantity=-1)"
    )
    assert failure.facts[0] == ".quantity is -1, not 1"


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("test.assertEqual(4, total)", "total is 3, the test expects 4"),
        ("test.assertEqual(total, 4, 'of all')", "total is 3, the test expects 4 (of all)"),
        ("test.assertNotEqual(total, 3)", "total is 3, the test expects anything but 3"),
        ("test.assertNotEqual(total, 3, 'x')", "total is 3, the test expects anything but 3 (x)"),
        ("test.assertIn(total, [1])", "total is 3, the test expects it in [1]"),
        ("test.assertLess(total, 2)", "total is 3, the test expects it < 2"),
        ("test.assertTrue(total > 4)", "total > 4 is False, the test expects it to be true"),
        ("test.assertFalse(total, 'x')", "total is 3, the test expects it to be false (x)"),
        (
            "test.assertAlmostEqual(total, 4)",
            "raised AssertionError: 3 != 4 within 7 places (1 difference)",
        ),
        ("args = (3, 4)\ntest.assertEqual(*args)", "raised AssertionError: 3 != 4"),
        ("test.fail('x')", "raised AssertionError: x"),
    ],
)
def test_sentences(code: str, seen: str, tmp_path: Path) -> None:
    assert failed(code, tmp_path).seen == seen


def test_assertion_of_a_library(tmp_path: Path) -> None:
    library: dict[str, object] = {}
    exec("def assert_ok(test, value):\n    test.assertEqual(value, 4)", library)
    exc, _ = raised_in(
        tmp_path / "test_x.py",
        "check(test, 3)",
        test=unittest.TestCase(),
        check=library["assert_ok"],
    )
    failure = capture_failure(exc, "test_x.py::test", "call", Project(tmp_path))
    assert failure.seen == "raised AssertionError: 3 != 4"
