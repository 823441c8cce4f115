"""Doctests: the line, the expected and the actual output of the example that failed."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.doctest_failures import failed_example
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.source.project import Project

MODULE = """
def slug(text):
    \"\"\"Return a short name.

    >>> slug('A b')
    'a-b'
    >>> {example}
    \"\"\"
    return text.lower().replace(' ', '-')
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    sys.modules.pop("short_names", None)


def imported(folder: Path, example: str) -> ModuleType:
    path = folder / "short_names.py"
    path.write_text(MODULE.replace("{example}", example), "utf-8")
    spec = importlib.util.spec_from_file_location("short_names", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["short_names"] = module
    spec.loader.exec_module(module)
    return module


def failed(folder: Path, example: str) -> Failure:
    module = imported(folder, example)
    [test] = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    try:
        doctest.DebugRunner(verbose=False).run(test)
    except (doctest.DocTestFailure, doctest.UnexpectedException) as exc:
        return capture_failure(exc, "short_names.py::short_names.slug", "call", Project(folder))
    raise AssertionError("the example passed")


@pytest.mark.parametrize(
    ("example", "seen"),
    [
        ("slug('C d')\n    'c_d'", "slug('C d') printed 'c-d', the example expects 'c_d'"),
        ("len(slug('C d'))", "len(slug('C d')) printed 3, the example expects nothing"),
        ("None\n    3", "None printed nothing, the example expects 3"),
    ],
)
def test_descriptions(example: str, seen: str, folder: Path) -> None:
    assert failed(folder, example).seen == seen


def test_place(folder: Path) -> None:
    failure = failed(folder, "slug('C d')\n    'c_d'")
    [frame] = failure.frames
    assert (frame.path, frame.line, frame.statement) == ("short_names.py", 7, ">>> slug('C d')")
    assert [callee.function for callee in failure.callees] == ["slug"]


def test_values_are_compared(folder: Path) -> None:
    failure = failed(folder, "dict(a=1, b=2)\n    {'a': 1, 'b': 3}")
    assert failure.facts == ("['b'] is 2, not 3",)


def test_example_that_raises(folder: Path) -> None:
    failure = failed(folder, "slug(None)\n    ''")
    assert failure.exception == "AttributeError"
    assert [frame.function for frame in failure.frames] == ["slug"]


def test_other_errors() -> None:
    assert failed_example(ValueError()) is None
