"""How arrays, series and frames differ. Skipped where NumPy and pandas are not installed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.raising import observe, raised_in

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.differences import differences
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.reprs import short_repr

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


def sales(**columns: Any) -> Any:
    return pd.DataFrame({"shop": ["a", "b", "c"], "total": [10.0, 20.0, 30.0], **columns})


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        ([1, 2, 4], [1, 2, 3], ["[2] is 4, not 3"]),
        ([[1.0, 2.0], [3.0, 4.1]], [[1.0, 2.0], [3.0, 4.0]], ["[1, 1] is 4.1, not 4.0"]),
        # The first difference may be within the tolerance.
        ([1.0000001, 5.0], [1.0, 3.0], ["[1] is 5.0, not 3.0", "2 of 2 values differ"]),
        ([[0, 0, 0]], [[0], [0], [0]], ["the shape is (1, 3), not (3, 1)"]),
        ([1.0, 2.0], [1, 2], ["the value has the dtype float64, not int64"]),
        ([float("nan")], [float("nan")], ["1 value of both are NaN, which equals nothing"]),
        (["a"], ["b"], ["[0] is 'a', not 'b'"]),
    ],
)
def test_arrays(actual: Any, expected: Any, sentences: list[str]) -> None:
    assert list(differences("==", np.array(actual), np.array(expected))) == sentences


def test_approx() -> None:
    approx = pytest.approx(np.array([1.0, 3.0]))
    assert differences("==", np.array([1.0000001, 5.0]), approx) == ("[1] is 5.0, not 3.0",)


@pytest.mark.parametrize(
    ("actual", "sentences"),
    [
        (sales(total=[20.0, 20.0, 30.0]), [".loc[0, 'total'] is 20.0, not 10.0"]),
        (
            sales().rename(columns={"total": "sum"}),
            ["the column 'total' is missing; there is 'sum'"],
        ),
        (sales(extra=1), ["the column 'extra' is unexpected"]),
        (sales()[["total", "shop"]], ["the same columns in a different order: ['total', 'shop']"]),
        (sales().iloc[:2], ["2 rows instead of 3"]),
        (sales(total=[10, 20, 30]), ["the column 'total' has the dtype int64, not float64"]),
        (sales().set_axis([1, 2, 3]), ["index[0] is 1, not 0"]),
    ],
)
def test_frames(actual: Any, sentences: list[str]) -> None:
    assert list(differences("==", actual, sales())) == sentences


def test_series() -> None:
    series = pd.Series([1, 2], index=["x", "y"], name="n")
    assert differences("==", series, series.add([0, 1])) == ("['y'] is 2, not 3",)
    assert differences("==", series, series.rename("m")) == ("the name is 'n', not 'm'",)
    assert differences("==", series[:1], series) == ("1 value instead of 2",)


@pytest.mark.parametrize(
    "code",
    [
        "import pandas.testing\npandas.testing.assert_frame_equal(a, expected)",
        "import pandas.testing\npandas.testing.assert_frame_equal(expected, a)",
        "assert a.equals(expected)",
    ],
)
def test_assertions_on_frames(code: str, tmp_path: Path) -> None:
    found = observe(code, tmp_path, a=sales(total=[20.0, 20.0, 30.0]), expected=sales())
    assert found[0] == ".loc[0, 'total'] is 20.0, not 10.0"


@pytest.mark.parametrize(
    "code",
    [
        "np.testing.assert_array_equal(a, b)",
        "np.testing.assert_array_equal(a, b.tolist())",
        "np.testing.assert_allclose(a, b)",
        "assert np.allclose(a, b)",
        "assert np.array_equal(a, b)",
    ],
)
def test_assertions_on_arrays(code: str, tmp_path: Path) -> None:
    found = observe(code, tmp_path, np=np, a=np.array([1, 4]), b=np.array([1, 3]))
    assert found[0] == "[1] is 4, not 3"


def test_message_of_an_assertion(tmp_path: Path) -> None:
    code = "np.testing.assert_array_equal(np.array([1, 4]), np.array([1, 3]))"
    exc, _ = raised_in(tmp_path / "code.py", code, np=np)
    failure = capture_failure(exc, "code.py::test", "call", Project(tmp_path))
    assert failure.seen == "raised AssertionError: Arrays are not equal"


@pytest.mark.parametrize("code", ["frame['totl']", "frame.groupby('totl')"])
def test_missing_column(code: str, tmp_path: Path) -> None:
    sentence = "the table has 2 columns, not 'totl'; the nearest is 'total'"
    assert observe(code, tmp_path, frame=sales())[0] == sentence


def test_texts() -> None:
    text = "DataFrame({'shop': ['a', 'b', 'c'], 'total': [10.0, 20.0, 30.0]})"
    assert short_repr(sales()) == text
    assert short_repr(pd.Series([1], index=["x"])) == "Series([1], index=['x'])"
    assert short_repr([pd.Series(range(100))]).endswith("10, 11, ...])]")


def test_subclasses_stay_as_they_are() -> None:
    class Table(pd.DataFrame):  # type: ignore[misc, name-defined]
        def __repr__(self) -> str:
            return "own"

    assert short_repr(Table({"a": [1]})) == "own"
    # A class of the same name from elsewhere.
    assert short_repr(type("DataFrame", (), {"__repr__": lambda self: "other"})()) == "other"


def test_single_value() -> None:
    assert differences("==", np.array(3), np.array(4)) == ("the value is 3, not 4",)


def test_large_tables() -> None:
    started = time.perf_counter()
    index = pd.date_range("2020", periods=1_000_000, freq="s")
    frame = pd.DataFrame({"x": range(1_000_000)}, index=index)
    changed = frame.copy()
    changed.iloc[77, 0] = 5
    cell = ".loc[Timestamp('2020-01-01 00:01:17'), 'x']"
    assert differences("==", frame, changed) == (f"{cell} is 77, not 5",)
    # A view whose items are not next to each other.
    array = np.zeros((4000, 2000)).T
    assert differences("==", array, array + 1)[0] == "[0, 0] is 0.0, not 1.0"
    assert time.perf_counter() - started < 10
