"""A function that a model has rewritten, as an edit."""

from __future__ import annotations

import pytest

from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.fix.corrections import correction_edits
from pytest_starcoder.fix.proposals import EDIT_KIND
from pytest_starcoder.source.edits import apply_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

MEAN = '''\
"""The shop."""


def mean(prices):
    """Return the mean of prices."""
    # All of them.
    total = sum(prices)

    # The divisor.
    count = len(prices) - 1
    return total / count


def other(prices):
    return prices
'''
FIXED = """\
def mean(prices):
    total = sum(prices)
    count = len(prices)
    return total / count
"""
SHOWN = (4, 7, 10, 11)
"""The lines of `mean` without its docstring and comments."""


def edits_of(
    code: str, source: str = MEAN, lines: tuple[int, ...] = SHOWN, path: str = "shop.py"
) -> list[Edit]:
    excerpt = Excerpt(path, lines[0], "", frozenset(lines))
    return correction_edits(code, [excerpt], SourceFiles(lambda _path: source))


def corrected(code: str, source: str = MEAN, lines: tuple[int, ...] = SHOWN) -> str:
    """Return the source with the only edit."""
    [edit] = edits_of(code, source, lines)
    start, end = edit.span
    assert source[start:end] == edit.before
    return apply_edits(source, [edit])


def test_changed_line() -> None:
    [edit] = edits_of(FIXED)
    assert (edit.path, edit.line, edit.kind) == ("shop.py", 10, EDIT_KIND)
    assert edit.before == "    count = len(prices) - 1"
    assert edit.after == "    count = len(prices)"


def test_comments_and_docstring_stay() -> None:
    code = FIXED.replace("sum(", "max(")
    expected = MEAN.replace("sum(", "max(").replace("(prices) - 1", "(prices)")
    assert corrected(code) == expected
    assert "    # The divisor.\n" in expected


def test_comments_of_the_model_are_left_out() -> None:
    code = (
        "def mean(prices):\n    total = sum(prices)\n\n    # Fixed!\n    count = len(prices)\n"
        "    return total / count"
    )
    assert corrected(code) == MEAN.replace("(prices) - 1", "(prices)")


def test_added_line() -> None:
    code = (
        "def mean(prices):\n    total = sum(prices)\n    count = len(prices) - 1\n"
        "    count += 1\n    return total / count"
    )
    expected = MEAN.replace("(prices) - 1\n", "(prices) - 1\n    count += 1\n")
    assert corrected(code) == expected


def test_added_first_line() -> None:
    code = (
        "def mean(prices):\n    prices = list(prices)\n    total = sum(prices)\n"
        "    count = len(prices) - 1\n    return total / count"
    )
    expected = MEAN.replace("    total", "    prices = list(prices)\n    total", 1)
    assert corrected(code) == expected, "below the docstring"


def test_removed_line() -> None:
    source = "def f(x):\n    x += 1\n    x += 2\n    return x\n"
    code = "def f(x):\n    x += 1\n    return x"
    assert corrected(code, source, (1, 2, 3, 4)) == "def f(x):\n    x += 1\n    return x\n"


def test_only_line_after_docstring_is_removed() -> None:
    source = 'def f(x):\n    """Doc."""\n    x += 1\n    return x\n'
    code = "def f(x):\n    return x"
    assert corrected(code, source, (1, 2, 3, 4)) == source.replace("    x += 1\n", "")


def test_docstring_of_the_model() -> None:
    code = FIXED.replace(":\n", ":\n    '''Return\n    it.'''\n", 1)
    assert corrected(code, lines=(4, 5, *SHOWN[1:])) == MEAN.replace("(prices) - 1", "(prices)")


def test_changed_signature() -> None:
    source = "def f(x, n=1):\n    return x + n\n"
    code = "def f(x, n=0):\n    return x + n"
    assert corrected(code, source, (1, 2)) == "def f(x, n=0):\n    return x + n\n"


def test_other_indentation() -> None:
    source = "def f(xs):\n    for x in xs:\n        total = x\n        return total\n"
    code = "def f(xs):\n    for x in xs:\n        total = x\n    return total"
    expected = source.replace("        return", "    return")
    assert corrected(code, source, (1, 2, 3, 4)) == expected


METHODS = """\
class Cart:
    def total(self):
        return sum(self.prices) - 1


class Order:
    def total(self):
        return sum(self.prices) - 1
"""


@pytest.mark.parametrize(
    "code",
    [
        "def total(self):\n    return sum(self.prices)\n",
        "    def total(self):\n        return sum(self.prices)\n",
        "class Cart:\n    def total(self):\n        return sum(self.prices)\n",
    ],
    ids=["function", "indented", "in-its-class"],
)
def test_method(code: str) -> None:
    expected = METHODS.replace(" - 1", "", 1)
    assert corrected(code, METHODS, (1, 2, 3)) == expected


def test_method_of_another_class() -> None:
    code = "class Order:\n    def total(self):\n        return sum(self.prices)\n"
    excerpts = [
        Excerpt("shop.py", 2, "", frozenset((1, 2, 3))),
        Excerpt("shop.py", 7, "", frozenset((6, 7, 8))),
    ]
    edits = correction_edits(code, excerpts, SourceFiles(lambda _path: METHODS))
    assert [edit.line for edit in edits] == [8]


def test_same_name_in_two_classes() -> None:
    code = "def total(self):\n    return sum(self.prices)\n"
    excerpts = [
        Excerpt("shop.py", 2, "", frozenset((1, 2, 3))),
        Excerpt("shop.py", 7, "", frozenset((6, 7, 8))),
    ]
    edits = correction_edits(code, excerpts, SourceFiles(lambda _path: METHODS))
    assert [edit.line for edit in edits] == [3, 8], "either may be meant"


ASYNC = "class A:\n    async def get(self) -> int:\n        return 1\n"


def test_async_method() -> None:
    code = "async def get(self) -> int:\n    return 2"
    assert corrected(code, ASYNC, (1, 2, 3)) == ASYNC.replace("return 1", "return 2")


GAP = "def f(x):\n    a = 1\n    b = 2\n    c = 3\n    return a + b + c + x\n"


def test_gap_stays() -> None:
    code = "def f(x):\n    a = 1\n    ...\n    return a + b + c - x"
    assert corrected(code, GAP, (1, 2, 5)) == GAP.replace("+ x", "- x")


def test_gap_that_is_left_out_stays() -> None:
    code = "def f(x):\n    a = 1\n    return a + x"
    assert corrected(code, GAP, (1, 2, 5)) == GAP.replace("a + b + c + x", "a + x")
    assert edits_of(code, GAP.replace("a + b + c + x", "a + x"), (1, 2, 5)) == []


@pytest.mark.parametrize("last", ["return a + b + c + x", "return a"])
def test_gap_is_filled(last: str) -> None:
    """What stands there was not shown, so the model cannot have corrected it."""
    code = f"def f(x):\n    a = 1\n    b = 7\n    c = 8\n    {last}"
    edits = edits_of(code, GAP, (1, 2, 5))
    assert edits == []


def test_caller_of_the_function() -> None:
    source = "def pay(prices):\n    return mean(prices)\n"
    assert edits_of("def mean(prices):\n    return 1", source, (1, 2)) == []


@pytest.mark.parametrize(
    "code",
    [
        "",
        "def mean(prices:",
        "I would divide by the length.",
        "total = 1",
        "def median(prices):\n    return 1",
        FIXED.replace("(prices)\n    return", "(prices) - 1\n    return"),
        "def other(prices):\n    return []",
    ],
    ids=["empty", "not-python", "prose", "no-function", "unknown", "unchanged", "not-shown"],
)
def test_no_edit(code: str) -> None:
    assert edits_of(code) == []


def test_file_has_shrunk() -> None:
    code = "def mean(prices):\n    return 1"
    assert edits_of(code, source="x = 1\n") == []
