"""Descriptions of failed assertions that a real pytest has run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap

import pytest

from pytest_starcoder.explain.assertions import (
    Comparison,
    describe_assertion,
    value_differences,
)
from pytest_starcoder.explain.failure import Failure

SHOP = """
def mean(xs):
    return sum(xs) / (len(xs) - 1)

def is_open(day):
    return day != "sunday"

class Cart:
    items = ["pear"]
    def __repr__(self):
        return "Cart(1 item)"

def checked(total):
    assert total > 0
    return total

def told(total):
    assert total > 0, "a total is positive"

def converted(text):
    try:
        return int(text)
    except ValueError as exc:
        raise LookupError("no number there") from exc
"""

CONFTEST = """
import json
import pathlib
import pytest
from pytest_starcoder.explain.assertions import Comparison
from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.source.project import Project

comparison = None
found = {}

def pytest_assertrepr_compare(op, left, right):
    global comparison
    comparison = Comparison.of_values(op, left, right)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    global comparison
    report = yield
    last, comparison = comparison, None
    if call.excinfo is not None:
        exc, project = call.excinfo.value, Project(item.config.rootpath)
        failure = capture_failure(exc, item.nodeid, report.when, project, last)
        found[item.name] = failure.to_json()
    return report

@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.failed:
        exc, project = report.call.excinfo.value, Project(collector.config.rootpath)
        failure = capture_failure(exc, collector.nodeid, "collect", project)
        found[collector.nodeid] = failure.to_json()
    return report

def pytest_sessionfinish():
    pathlib.Path("found.json").write_text(json.dumps(found))
"""

HEAD = """
import asyncio
import unittest
import pytest
from shop import *
total, name, cart, nothing, flag, zero = 3.0, "pear", Cart(), None, True, 0
"""

# The body of a test, and what is said of it.
SEEN = {
    "assert mean([1, 2, 3]) == 2": "mean([1, 2, 3]) returned 3.0, the test expects 2",
    "assert 2 == mean([1, 2, 3])": "mean([1, 2, 3]) returned 3.0, the test expects 2",
    "assert -2 == mean([1, 2, 3])": "mean([1, 2, 3]) returned 3.0, the test expects -2",
    "assert [1, 2] == [total]": "[total] is [3.0], the test expects [1, 2]",
    "assert total == zero": "total is 3.0, the test expects 0 (zero)",
    "assert 1 == 2": "1, the test expects 2",
    "assert total != 3": "total is 3.0, the test expects anything but 3",
    "assert total < 2": "total is 3.0, the test expects it < 2",
    "assert 5 <= mean([1, 2, 3])": "mean([1, 2, 3]) returned 3.0, the test expects it >= 5",
    "assert 'x' in name": "'x', the test expects it in 'pear' (name)",
    "assert name in ['apple', 'plum']": "name is 'pear', the test expects it in ['apple', 'plum']",
    "assert 'e' not in name": "'e', the test expects it not in 'pear' (name)",
    "assert nothing is True": "nothing is None, the test expects the very object True",
    "assert None is cart": "cart is Cart(1 item), the test expects the very object None",
    "assert nothing is not None": (
        "nothing is None, the test expects anything but the very object None"
    ),
    "assert cart.items == []": "cart.items is ['pear'], the test expects []",
    "assert mean(\n    [1,\n     2, 3]\n) == (\n    2\n)": (
        "mean([1, 2, 3]) returned 3.0, the test expects 2"
    ),
    "assert total == 4, 'totals differ'": "total is 3.0, the test expects 4 (totals differ)",
    "assert total == pytest.approx(4)": (
        "total is 3.0, the test expects 4 ± 4.0e-06 (pytest.approx(4))"
    ),
    "assert 1 < total < 2": "3.0 < 2 is false, the test expects it to be true",
    "assert is_open('sunday')": "is_open('sunday') is False, the test expects it to be true",
    "assert is_open('sunday'), 'closed'": "closed assert False + where False = is_open('sunday')",
    "assert zero": "zero is 0, the test expects it to be true",
    "assert []": "[] is false, the test expects it to be true",
    "assert False": "False is false, the test expects it to be true",
    "assert not flag": "flag is True, the test expects it to be false",
    "assert not is_open('monday')": "is_open('monday') is True, the test expects it to be false",
    "assert not (total == 3)": "3.0 == 3 is true, the test expects it to be false",
    "assert total == 3 and zero": "(3.0 == 3 and 0) is false, the test expects it to be true",
    "assert total == 4 or zero == 9": (
        "(3.0 == 4 or 0 == 9) is false, the test expects it to be true"
    ),
    # An earlier comparison has nothing to do with it, and shop.py's assertions tell no values.
    "try:\n    assert total > 9\nexcept AssertionError: pass\nchecked(0)": (
        "total > 0 is false, the test expects it to be true"
    ),
    "try:\n    assert total == 9\nexcept AssertionError: pass\nassert zero": (
        "zero is 0, the test expects it to be true"
    ),
    "told(0)": "a total is positive",
    "raise AssertionError": "raised AssertionError",
    "raise AssertionError('so it is')": "raised AssertionError: so it is",
    "unittest.TestCase().assertEqual(total, 4)": "total is 3.0, the test expects 4",
    "mean([1])": "raised ZeroDivisionError: division by zero",
    "raise KeyError": "raised KeyError",
    "converted('x')": (
        "raised LookupError: no number there, from "
        "ValueError: invalid literal for int() with base 10: 'x'"
    ),
    "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])": (
        "raised ExceptionGroup: two (2 sub-exceptions), ValueError: a, KeyError: 'b'"
    ),
    "pytest.fail('not yet')": "raised Failed: not yet",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Failure]:
    """What every test of a project was described as, by the name of the test or file."""
    project = tmp_path_factory.mktemp("project")
    tests = [HEAD]
    for number, body in enumerate(SEEN):
        tests.append(f"def test_{number}():\n{textwrap.indent(body, '    ')}\n")
    files = {
        "shop.py": SHOP,
        "conftest.py": CONFTEST,
        "pytest.ini": "[pytest]\n",
        "test_shop.py": "\n".join(tests),
        "test_misspelt.py": "import shop\n\ndef test_x(:\n    pass\n",
        "test_missing.py": "import shop\nimport no_module_of_that_name\n",
        "helper_misspelt.py": "x = = 1\n",
        "test_imports_misspelt.py": "import helper_misspelt\n",
        "test_setup.py": "import pytest, shop\n@pytest.fixture\ndef empty():\n    shop.mean([1])\n"
        "def test_never_begins(empty): ...\n",
    }
    for name, text in files.items():
        (project / name).write_text(text, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=project, env=environment, check=False, capture_output=True, text=True
    )
    assert (project / "found.json").is_file(), done.stdout + done.stderr
    failures_json = json.loads((project / "found.json").read_text())
    return {name: Failure.from_json(fields) for name, fields in failures_json.items()}


@pytest.mark.parametrize("body", SEEN)
def test_description_of_assertion(failures: dict[str, Failure], body: str) -> None:
    assert failures[f"test_{list(SEEN).index(body)}"].seen == SEEN[body]


def failure_of(failures: dict[str, Failure], body: str) -> Failure:
    return failures[f"test_{list(SEEN).index(body)}"]


def test_called_function(
    failures: dict[str, Failure],
) -> None:
    failure = failure_of(failures, "assert mean([1, 2, 3]) == 2")
    assert [(frame.path, frame.function) for frame in failure.frames] == [
        ("test_shop.py", "test_0")
    ]
    assert [(frame.path, frame.line, frame.source) for frame in failure.callees] == [
        ("shop.py", 2, "def mean(xs):\n    return sum(xs) / (len(xs) - 1)")
    ]


def test_frames(failures: dict[str, Failure]) -> None:
    failure = failure_of(failures, "mean([1])")
    assert [frame.statement for frame in failure.frames] == [
        "mean([1])",
        "return sum(xs) / (len(xs) - 1)",
    ]
    assert failure.callees == ()


def test_custom_message(failures: dict[str, Failure]) -> None:
    assert (
        failure_of(failures, "assert total == 4, 'totals differ'").message
        == "totals differ assert 3.0 == 4"
    )


def test_failing_fixture(failures: dict[str, Failure]) -> None:
    failure = failures["test_never_begins"]
    assert (failure.phase, failure.exception) == ("setup", "ZeroDivisionError")
    assert [frame.function for frame in failure.frames] == ["empty", "mean"]


def test_syntax_error_in_test(failures: dict[str, Failure]) -> None:
    failure = failures["test_misspelt.py"]
    assert (failure.exception, failure.phase) == ("SyntaxError", "collect")
    assert failure.seen == "raised SyntaxError: invalid syntax (test_misspelt.py, line 3)"
    assert [(frame.path, frame.line, frame.statement) for frame in failure.frames] == [
        ("test_misspelt.py", 3, "def test_x(:")
    ]


def test_syntax_error_in_import(
    failures: dict[str, Failure],
) -> None:
    failure = failures["test_imports_misspelt.py"]
    assert [(frame.path, frame.line, frame.statement) for frame in failure.frames] == [
        ("test_imports_misspelt.py", 1, "import helper_misspelt"),
        ("helper_misspelt.py", 1, "x = = 1"),
    ]


def test_failing_import(failures: dict[str, Failure]) -> None:
    failure = failures["test_missing.py"]
    assert failure.seen == "raised ModuleNotFoundError: No module named 'no_module_of_that_name'"
    assert failure.frames[-1].statement == "import no_module_of_that_name"


def test_failure_as_json(failures: dict[str, Failure]) -> None:
    for failure in failures.values():
        assert Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure


@pytest.mark.parametrize(
    "code", ["assert 1.5 == pytest.approx(1)", "assert expected == 1.5", "assert 1.5 == expected"]
)
def test_expected_approx(code: str) -> None:
    approx = pytest.approx(1)
    [statement] = ast.parse(code).body
    assert isinstance(statement, ast.Assert)
    sides = (approx, 1.5) if code.startswith("assert expected") else (1.5, approx)
    comparison = Comparison.of_values("==", *sides)
    assert value_differences(statement, comparison)[0] == "the value is too large by 0.5"
    seen = describe_assertion(statement, "assert 1", "assert 1", comparison)
    assert seen.startswith("1.5, the test expects 1 ± 1.0e-06")
