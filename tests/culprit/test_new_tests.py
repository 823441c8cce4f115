"""New tests and assertions, which no change broke."""

from __future__ import annotations

import pytest

from pytest_starcoder.culprit.new_tests import NEW_LINES, NEW_TEST, new_in_test
from pytest_starcoder.culprit.pieces import ChangedText, Kind
from pytest_starcoder.culprit.search import SearchResult

TEST = "test_shop.py::test_mean"
OLD_TEST = "def test_mean():\n    assert mean([1]) == 1\n"
NEW_ASSERTION = OLD_TEST + "    assert mean([]) == 0\n"
OTHER_ASSERTION = "def test_mean():\n    assert mean([1]) == 2\n"


def reason(path: str, kind: Kind, old: str | None, new: str, *, named: bool = True) -> str:
    """Return the reason for a change of one file, whose pieces are to blame if `named`."""
    file = ChangedText.of(path, kind, old, new)
    ways = (frozenset(file.pieces),) if named else ()
    return new_in_test(TEST, SearchResult(ways), [file])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("old", [None, "def test_other():\n    pass\n"])
def test_new_test(old: str | None, *, named: bool) -> None:
    assert reason("test_shop.py", "test", old, OLD_TEST, named=named) == NEW_TEST


def test_new_assertion() -> None:
    assert reason("test_shop.py", "test", OLD_TEST, NEW_ASSERTION) == NEW_LINES


def test_changed_expectation() -> None:
    assert reason("test_shop.py", "test", OLD_TEST, OTHER_ASSERTION) == ""


@pytest.mark.parametrize("old", [None, "import pytest\n"])
def test_new_fixture(old: str | None) -> None:
    """A fixture in another file can break a test that has passed before."""
    new = "import pytest\n\n@pytest.fixture(autouse=True)\ndef small():\n    Cart.limit = 1\n"
    assert reason("conftest.py", "test", old, new) == ""


def test_changed_code() -> None:
    assert reason("shop.py", "code", "X = 1\n", "X = 1\nX = 2\n") == ""


def test_nothing_named() -> None:
    assert reason("test_shop.py", "test", OLD_TEST, NEW_ASSERTION, named=False) == ""
