"""Code that should have raised or warned, and did not."""

from __future__ import annotations

import unittest
import warnings
from pathlib import Path
from typing import Any

import pytest
from support.raising import observe, raised_in

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.unmet_expectations import block_of
from pytest_starcoder.source.project import Project

SHOP = """
import pytest
def charge(amount):
    return {"charged": amount}
async def fetch(n): return n
def rows(n): yield n
role = "admin"
"""


def failed(code: str, tmp_path: Path, **scope: Any) -> Failure:
    scope = {"test": unittest.TestCase(), "warnings": warnings, **scope}
    exc, _ = raised_in(tmp_path / "test_x.py", SHOP + code, **scope)
    return capture_failure(exc, "test_x.py::test", "call", Project(tmp_path))


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        (
            "with pytest.raises(ValueError):\n    charge(-5)",
            "charge(-5) raised nothing, the test expects ValueError",
        ),
        (
            "with pytest.raises((ValueError, KeyError)):\n    charge(1)\n    charge(2)",
            "charge(1); charge(2) raised nothing, the test expects (ValueError, KeyError)",
        ),
        (
            "with pytest.raises(ValueError):\n    if charge(1) is None: raise ValueError",
            "the block raised nothing, the test expects ValueError",
        ),
        (
            "pytest.raises(ValueError, charge, -5)",
            "charge(-5) raised nothing, the test expects ValueError",
        ),
        (
            "with test.assertRaises(ValueError):\n    charge(-5)",
            "charge(-5) raised nothing, the test expects ValueError",
        ),
        (
            "with pytest.warns(UserWarning):\n    charge(-5)",
            "charge(-5) gave no such warning, the test expects UserWarning",
        ),
        ("pytest.fail('DID NOT RAISE')", "raised Failed: DID NOT RAISE"),
        (
            "with test.assertLogs():\n    charge(1)",
            "raised AssertionError: no logs of level INFO or higher triggered on root",
        ),
    ],
)
def test_descriptions(code: str, seen: str, tmp_path: Path) -> None:
    assert failed(code, tmp_path).seen == seen


def test_called_function(tmp_path: Path) -> None:
    failure = failed(
        "def test():\n  with pytest.raises(ValueError):\n    charge(1)\ntest()", tmp_path
    )
    assert [frame.function for frame in failure.callees] == ["charge"]


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        ("result = charge(1)", "result is {'charged': 1}"),
        ("fetch(1)", "fetch is async, but the call is not awaited, so its body never ran"),
        ("rows(1)", "rows is a generator function: its body runs only when it is iterated over"),
        ("charge(role)", "with role = 'admin'"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_facts(body: str, fact: str, tmp_path: Path) -> None:
    code = f"with pytest.raises(ValueError):\n    {body}"
    assert fact in failed(code, tmp_path).facts


@pytest.mark.parametrize("body", ["list(rows(1))", "task = fetch(1)\n    task.close()"])
def test_calls_that_are_used(body: str, tmp_path: Path) -> None:
    failure = failed(f"with pytest.raises(ValueError):\n    {body}", tmp_path)
    assert not any("nothing of it" in fact for fact in failure.facts)


def test_another_warning(tmp_path: Path) -> None:
    code = "with pytest.warns(UserWarning):\n    warnings.warn('old', DeprecationWarning)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pytest gives the others again
        failure = failed(code, tmp_path)
    assert failure.facts[0] == "the emitted warnings were DeprecationWarning('old')"


def test_blocks() -> None:
    source = "def test():\n    with raises(E):\n        a()\n\n        b()\n    c()"
    assert block_of(Frame("x.py", 2, "test", 1, source)) == "a()\n\nb()"
    assert block_of(Frame("x.py", 6, "test", 1, source)) == ""


def test_warning_as_an_error(tmp_path: Path) -> None:
    sentence = "a warning filter (-W, filterwarnings, simplefilter) turns UserWarning into an error"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert observe("import warnings\nwarnings.warn('x')", tmp_path)[0] == sentence
    assert sentence not in observe("raise UserWarning('x')", tmp_path)
