"""Evidence that a test expects something wrong."""

from __future__ import annotations

import pytest

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.expectations import documented_result
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.runner.outcome import Call, Outcome
from pytest_starcoder.source.sources import SourceFiles

SHOP = '''\
def split(total, n=3, *, fair=True):
    """Split a total.

    >>> split(10)
    [4, 3, 3]
    >>> split(10, 2, fair=False)
    [10, 0]
    >>> split(*totals)
    [1]
    """
'''

NODEID = "test_shop.py::test_rest"


def fact(
    statement: str = "assert split(10) == [3, 3, 4]",
    arguments: str = "total=10, n=3, fair=True",
    outcome: str = "returned [4, 3, 3]",
    *,
    shop: str = SHOP,
    late: bool = True,
    calls: int = 1,
    exception: str = "AssertionError",
) -> str:
    test = f"def test_rest():\n    {statement}\n"
    frame = Frame("test_shop.py", 2, "test_rest", 1, test)
    failure = Failure(NODEID, "call", exception, "", "", (frame,))
    call = Call("shop.py", 1, "split", arguments, outcome, ("test_shop.py", 2), late)
    replay = Replay((Outcome(NODEID, "failed", calls=(call,) * calls),))
    sources = {"shop.py": shop, "test_shop.py": test}
    return documented_result(Case(Cause((failure,)), replay), SourceFiles(sources.__getitem__))


def test_documented_result() -> None:
    assert fact() == (
        "the docstring of split shows that split(10) returns [4, 3, 3], as it did: "
        "the test's expectation may be wrong"
    )
    assert fact("assert [3, 3, 4] == shop.split(10)")
    assert fact(arguments="total=10, n=2, fair=False", outcome="returned [10, 0]")


@pytest.mark.parametrize(
    "options",
    [
        {"arguments": "total=11, n=3, fair=True"},
        {"arguments": "total=10.0, n=3, fair=True"},
        {"arguments": "total=<Money 10>, n=3, fair=True"},
        {"arguments": "total=10, n=3, fair=T…"},
        {"outcome": "returned [3, 4, 3]"},
        {"outcome": "raised ValueError"},
        {"statement": "assert split(10)[0] == 3"},
        {"statement": "assert split(10) != [4, 3, 3]"},
        {"statement": "assert sorted(split(10)) == [3, 3]"},
        {"exception": "KeyError"},
        {"late": False},
        {"calls": 2},
        {"shop": "def split(total, n=3, *, fair=True): ...\n"},
        {"shop": SHOP.replace(">>> split(10)", ">>>split(10)")},
        {"shop": f"class Shop:\n    {SHOP}"},
    ],
)
def test_no_evidence(options: dict[str, object]) -> None:
    assert fact(**options) == ""  # type: ignore[arg-type]
