"""Exceptions behind a failure that did not reach the test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from support.raising import raised_in

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.reported_errors import reported_errors
from pytest_starcoder.source.project import Project

CHARGE = """
import pytest
def charge(amount):
    raise ValueError(f"amount {amount}")
def caught(amount):
    try:
        charge(amount)
    except ValueError as error:
        return error
"""


def failed(code: str, tmp_path: Path) -> Failure:
    exc, _ = raised_in(tmp_path / "test_x.py", CHARGE + code)
    return capture_failure(exc, "test_x.py::test", "call", Project(tmp_path))


def test_groups(tmp_path: Path) -> None:
    group = "raise ExceptionGroup('two', [caught(1), ExceptionGroup('', [caught(2), KeyError(3)])])"
    failure = failed(group, tmp_path)
    assert failure.facts[:2] == (
        "the group contains ValueError: amount 1 at test_x.py:4 in charge",
        "the group contains ValueError: amount 2 at test_x.py:4 in charge",
    )


@pytest.mark.parametrize(
    "code",
    [
        "def test():\n  with pytest.raises(ValueError, match='x'):\n    charge(1)\ntest()",
        "with pytest.raises(ValueError) as e:\n    charge(1)\nassert str(e.value) == 'x'",
        "error = caught(1)\nassert str(error) == 'x'",
    ],
)
def test_caught_errors(code: str, tmp_path: Path) -> None:
    failure = failed(code, tmp_path)
    assert "the test caught ValueError: amount 1 at test_x.py:4 in charge" in failure.facts
    assert failure.callees[0].function == "charge"


def test_error_that_was_never_raised(tmp_path: Path) -> None:
    failure = failed("error = ValueError(1)\nassert str(error) == 'x'", tmp_path)
    assert not any("caught" in fact for fact in failure.facts)


def test_logged_cause(tmp_path: Path) -> None:
    code = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError from error"
    exc, _ = raised_in(tmp_path / "code.py", code)
    for error in (exc, exc.__cause__):
        info: Any = (type(error), error, None)
        record = logging.LogRecord("app", 40, "", 1, "failed", (), info)
        assert reported_errors(exc, None, [record]) == ()


def test_records_without_errors() -> None:
    for info in (None, (None, None, None), True):
        record = logging.LogRecord("app", 40, "", 1, "x", (), None)
        record.exc_info = info  # type: ignore[assignment]
        assert reported_errors(ValueError(), None, [record]) == ()


def test_logged_error_comes_after_called_functions(tmp_path: Path) -> None:
    code = "def total(): return 1\ndef test():\n    assert total() == 2\ntest()"
    exc, _ = raised_in(tmp_path / "test_x.py", CHARGE + code)
    logged, _ = raised_in(tmp_path / "shop.py", "def sell():\n    raise KeyError(1)\nsell()")
    record = logging.LogRecord("app", 40, "", 1, "x", (), (KeyError, logged, logged.__traceback__))
    failure = capture_failure(exc, "test", "call", Project(tmp_path), records=[record])
    assert [frame.function for frame in failure.callees[:2]] == ["total", "sell"]
