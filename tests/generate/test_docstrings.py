"""Drafts from the examples of docstrings, and the exceptions that docstrings name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_starcoder.generate.docstrings import doctest_drafts, documented_exceptions
from pytest_starcoder.generate.draft import Target


def bodies(docstring: str) -> list[tuple[str, ...]]:
    target = Target("shop.py", "shop", "mean", 1, 2, (("xs", ""),), docstring)
    return [draft.body for draft in doctest_drafts(target, ["mean", "Cart"])]


@pytest.mark.parametrize(
    ("example", "body"),
    [
        (">>> mean([1])\n1.0", ("assert mean([1]) == 1.0",)),
        (">>> not mean([1])\n3", ("assert (not mean([1])) == 3",)),
        (">>> y = 1  # returns 3\n>>> mean(y)\n1", ("y = 1", "assert mean(y) == 1")),
        (">>> mean([])\nNone", ("assert mean([]) is None",)),
        (">>> mean([1]) > 0\nTrue", ("assert (mean([1]) > 0) is True",)),
        (">>> mean([1])\nMean(1)", ("assert repr(mean([1])) == 'Mean(1)'",)),
        (">>> print(mean([1]))\n1.0", ("assert str(mean([1])) == '1.0'",)),
        (">>> mean([1])  # returns 1.0", ("assert mean([1]) == 1.0",)),
        (">>> mean([1]) # -> true", ("assert mean([1]) is True",)),
        (">>> xs = [1]\n>>> mean(xs)\n1.0", ("xs = [1]", "assert mean(xs) == 1.0")),
        (
            ">>> mean([])\nTraceback (most recent call last):\n...\nValueError: no (values)",
            ("with pytest.raises(ValueError, match='no\\\\ \\\\(values\\\\)'):\n    mean([])",),
        ),
    ],
)
def test_assertion_of_example(example: str, body: tuple[str, ...]) -> None:
    assert bodies(f"What it does.\n\n{example}\n") == [body]


@pytest.mark.parametrize(
    "example",
    [
        ">>> mean([1])\n1\n2",
        ">>> mean([1])",
        ">>> mean([1])  # doctest: +SKIP\n1",
        ">>> mean(\n1",
        "no example",
        ">>>bad",
    ],
)
def test_example_without_promise(example: str) -> None:
    assert bodies(example) == []


@settings(max_examples=50)
@given(st.text(">. \n\t#=()[]1ab"))
def test_any_docstring(docstring: str) -> None:
    for body in bodies(docstring):
        assert body


def test_imports_of_example() -> None:
    target = Target(
        "shop.py", "shop", "mean", 1, 2, (), ">>> import math\n>>> mean([math.pi, Cart])\n3\n"
    )
    [draft] = doctest_drafts(target, ["mean", "Cart", "other"])
    assert draft.imports == ("from shop import Cart, mean",)
    function = (
        "def test_mean_example_1():\n    import math\n    assert mean([math.pi, Cart]) == 3\n"
    )
    assert draft.source == f"from shop import Cart, mean\n\n\n{function}"


@pytest.mark.parametrize(
    ("docstring", "names"),
    [
        (
            "Mean.\n\nRaises:\n    ValueError: if it is empty.\n    TypeError: otherwise.\n",
            ["ValueError", "TypeError"],
        ),
        ("Mean.\n\nRaises\n------\nValueError\n    If it is empty.\n", ["ValueError"]),
        ("Mean.\n\n:raises KeyError: never\n:raise OSError:\n", ["KeyError", "OSError"]),
        ("Raises the roof. ValueError: no.", []),
        ("Raises:\n    Unknown: not built in.\n    int: no exception.\n", []),
        ("", []),
    ],
)
def test_documented_exceptions(docstring: str, names: list[str]) -> None:
    assert (
        documented_exceptions(Target("shop.py", "shop", "mean", 1, 2, (("xs", ""),), docstring))
        == names
    )
