"""Where a fix may be made: in the code under test, never in checking code."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.fix.edit_sites import PlaceFinder, Places
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

STOCK = "def total(rows):\n    return len(rows) - 1\n"
TESTS = "from stock import total\n\ndef test_total():\n    assert total([1]) == 1\n"

SAME = "def same(got, wanted):\n    assert got == wanted\n"
RAISES = "def same(got, wanted):\n    if got != wanted:\n        raise AssertionError(got)\n"
FAILS = "def same(got, wanted):\n    if got != wanted:\n        fail(f'{got}')\n"
CLOSE = "def close(a, b):\n    return abs(a - b) < 1\n\ndef same(a, b):\n    assert close(a, b)\n"
DEEPER = SAME + "\ndef same_order(order):\n    same(order.total, 3)\n"
CHAINED = "def same(got, wanted):\n    assert_that(got).is_equal_to(wanted)\n"
METHOD = (
    "class Checks:\n    def assertSame(self, got, wanted):\n        self.assertEqual(got, wanted)\n"
)
MATCHER = (
    "class Same(BaseMatcher):\n    def _matches(self, item):\n        return item == self.item\n"
)
LIBRARY = "from numpy.testing import assert_allclose\n\ndef same(a, b):\n    return a == b\n"
FIXTURE = "import factories\n\n@factories.fixture\ndef rows():\n    return [1]\n"
STEP = "import factories\n\n@factories.then('it is {n}')\ndef step(n):\n    return n == 1\n"
DATA = "ROWS = [1, 2]\n\ndef rows():\n    return [1]\n"


def places(
    files: Mapping[str, str],
    *,
    tests: str = "test_stock.py",
    failed: Frame | None = None,
    conventions: Conventions | None = None,
) -> Places:
    """Return the places to fix a failure whose tests run every line of all files."""
    sources = SourceFiles(lambda path: dedent(files.get(path, "")))
    lines = [(path, number) for path in files for number in range(1, sources(path).count("\n") + 1)]
    finder = PlaceFinder(sources, conventions or Conventions(frozenset({tests})), files)
    frames = (failed,) if failed else ()
    failure = Failure(f"{tests}::test_total", "call", "AssertionError", "", "", frames)
    case = Case(Cause((failure,)), ranked=tuple(lines), scores=dict.fromkeys(lines, 1.0))
    return finder.places(case)


def paths(found: Places) -> set[str]:
    return {path for path, _ in found.lines}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("helpers.py", SAME),
        ("helpers.py", RAISES),
        ("helpers.py", FAILS),
        ("helpers.py", CLOSE),
        ("helpers.py", DEEPER),
        ("helpers.py", CHAINED),
        ("helpers.py", METHOD),
        ("helpers.py", LIBRARY),
        ("helpers.py", f"import pytest\n{DATA}"),
        ("helpers.py", f"import os, unittest\n{DATA}"),
        ("conftest.py", DATA),
        ("shop/conftest.py", DATA),
        ("tests/samples.py", DATA),
        ("shop/testing/samples.py", DATA),
        ("../tests/samples.py", DATA),
        ("stock_test.py", DATA),
        ("tests.py", DATA),
        ("shop/testing.py", DATA),
    ],
    ids=(
        "assert raise fail close deeper chained method "
        "library pytest unittest conftest nested-conftest "
        "tests testing sibling suffix module testing-module"
    ).split(),
)
def test_what_serves_tests(path: str, text: str) -> None:
    module = path.removesuffix(".py").replace("/", ".")
    found = places({"stock.py": STOCK, "test_stock.py": f"import {module}\n{TESTS}", path: text})
    assert paths(found) == {"stock.py"}


NAMES_OF_DATA = (
    "sample_data.py",
    "factories.py",
    "fixtures/rows.py",
    "expected_rows.py",
    "support/fake_rows.py",
)


@pytest.mark.parametrize("path", NAMES_OF_DATA)
def test_data_by_its_name(path: str) -> None:
    name = path.removesuffix(".py").replace("/", ".")
    tests = f"import stock\nfrom {name} import ROWS, rows\n"
    files = {"stock.py": STOCK, path: DATA, "test_stock.py": tests}
    assert paths(places(files)) == {"stock.py"}


def test_code_named_like_data() -> None:
    tests = "import stock, samples\n"
    its_own = {
        "stock.py": STOCK,
        "samples.py": DATA,
        "test_stock.py": tests,
        "test_samples.py": tests,
    }
    assert paths(places(its_own)) == {"stock.py", "samples.py"}
    used = {"stock.py": f"import samples\n{STOCK}", "samples.py": DATA, "test_stock.py": tests}
    assert paths(places(used)) == {"stock.py", "samples.py"}


@pytest.mark.parametrize("text", [FIXTURE, STEP, MATCHER], ids=["fixture", "step", "matcher"])
def test_functions_that_serve_tests(text: str) -> None:
    found = places({"stock.py": f"{STOCK}\n{text}", "test_stock.py": TESTS})
    lines = f"{STOCK}\n{text}".split("\n")
    assert {lines[number - 1].strip() for _, number in found.lines} >= {"return len(rows) - 1"}
    assert not {"return [1]", "return n == 1", "return item == self.item"} & {
        lines[number - 1].strip() for _, number in found.lines
    }


def test_registered_for_rewriting() -> None:
    conftest = "import pytest\npytest.register_assert_rewrite('lib.comparing')\n"
    files = {
        "stock.py": STOCK,
        "test_stock.py": TESTS,
        "conftest.py": conftest,
        "lib/comparing.py": DATA,
    }
    assert paths(places(files)) == {"stock.py"}


def test_the_settings_of_pytest() -> None:
    files = {"stock.py": STOCK, "check_stock.py": TESTS, "check_data.py": DATA}
    conventions = Conventions(
        frozenset({"check_stock.py"}), ("check_*.py",), ("check",), ("Check",)
    )
    assert paths(places(files, tests="check_stock.py", conventions=conventions)) == {"stock.py"}
    everything = Conventions(frozenset({"test_stock.py"}), ("*.py",))
    assert paths(places({"stock.py": STOCK, "test_stock.py": TESTS}, conventions=everything)) == {
        "stock.py"
    }


def test_a_helper_that_imports_helpers() -> None:
    orders = "from helpers import same\n\ndef orders(got):\n    return same(got, 1)\n"
    files = {
        "stock.py": STOCK,
        "test_stock.py": TESTS,
        "helpers.py": f"import pytest\n{SAME}",
        "orders.py": orders,
    }
    assert paths(places(files)) == {"stock.py"}


def test_code_that_checks_itself() -> None:
    """A precondition stays as it is; the values passed to it may be wrong."""
    code = """\
        from checks import not_negative

        class Account:
            def withdraw(self, amount):
                self.balance = self.balance + amount
                if amount > 3:
                    return 0
                assert self.balance >= 0
                return self.balance

            def deposit(self, amount):
                self.balance = not_negative(self.balance - amount)
    """
    checks = "def not_negative(value):\n    assert value >= 0\n    return value\n"
    files = {
        "account.py": code,
        "checks.py": checks,
        "test_account.py": "from account import Account\n",
    }
    found = places(files, tests="test_account.py", failed=Frame("account.py", 8, "withdraw", 4, ""))
    assert {number for path, number in found.lines if path == "account.py"} >= {5, 9, 12}
    assert not {("account.py", 6), ("account.py", 8), ("checks.py", 2)} & {*found.lines}
    assert ("checks.py", 3) in found.lines


def test_the_check_that_failed() -> None:
    code = (
        "def total(rows):\n    n = len(rows)\n    if n != 2:\n"
        "        raise AssertionError(n)\n    return n\n"
    )
    frame = Frame("stock.py", 4, "total", 1, "")
    found = places({"stock.py": code, "test_stock.py": TESTS}, failed=frame)
    assert [number for _, number in found.lines] == [1, 2, 5]


GIVES = "def near(got, wanted):\n    gap = abs(got - wanted)\n    assert gap < 1\n    return gap\n"


def test_a_check_that_returns_something() -> None:
    """A function whose check failed may be test support if no code calls it and other code ran."""
    frame = Frame("nearness.py", 3, "near", 1, "")
    files = {"stock.py": STOCK, "test_stock.py": TESTS, "nearness.py": GIVES}
    assert paths(places(files, failed=frame)) == {"stock.py"}
    called = {**files, "stock.py": f"from nearness import near\n{STOCK}"}
    assert ("nearness.py", 2) in places(called, failed=frame).lines
    alone = {"test_stock.py": TESTS, "nearness.py": GIVES}
    assert ("nearness.py", 2) in places(alone, failed=frame).lines


def test_doctests() -> None:
    assert paths(places({"stock.py": STOCK}, tests="stock.py")) == {"stock.py"}


BESIDE = """\
def total(rows):
    return len(rows) - 1

RATE = 3

class Order:
    def price(self):
        return RATE

class TestOrder:
    def make(self):
        return Order()

def same(got, wanted):
    assert got == wanted

def setup_module():
    Order.rate = 1

def test_total():
    same(total([1]), 1)
"""


def test_code_beside_its_tests() -> None:
    found = places({"test_stock.py": BESIDE, "conftest.py": DATA, "tests/samples.py": DATA})
    assert found.lines == (
        ("test_stock.py", 1),
        ("test_stock.py", 2),
        ("test_stock.py", 7),
        ("test_stock.py", 8),
    )
    assert paths(places({"test_stock.py": BESIDE, "stock.py": STOCK})) == {"stock.py"}


def test_a_root_for_tests() -> None:
    conventions = Conventions(frozenset({"test_stock.py"}), folder="tests")
    both = places(
        {"test_stock.py": TESTS, "samples.py": DATA, "../src/stock.py": STOCK},
        conventions=conventions,
    )
    assert paths(both) == {"../src/stock.py"}
    assert paths(places({"test_stock.py": TESTS, "stock.py": STOCK}, conventions=conventions)) == {
        "stock.py"
    }


@pytest.mark.parametrize(
    ("before", "after", "line", "allowed"),
    [
        ("n", "n + 1", 2, True),
        ("n", "n + 1", 3, False),
        ("return n\n    assert n", "return n", 2, False),
        ("n = 1", "return 1", 2, False),
        ("n = 1", "yield 1", 2, False),
        ("n", "n + 1", 4, True),
    ],
    ids=["code", "assert", "both", "left-before", "never-run", "behind"],
)
def test_what_an_edit_may_do(before: str, after: str, line: int, allowed: bool) -> None:
    code = "def total(rows):\n    n = 1\n    assert n\n    return n\n"
    found = places({"stock.py": code, "test_stock.py": TESTS})
    assert found.allow(Edit("stock.py", (0, len(before)), before, after, "x", 1.0, line)) is allowed


@pytest.mark.parametrize(
    "source",
    ["def f(:", "", "\x00", "class A:\n  def f(self):\n    match self:\n      case 1: assert 0\n"],
)
def test_any_source(source: str) -> None:
    found = places({"stock.py": source + "\n", "test_stock.py": source + "\n", "assert.py": STOCK})
    assert "assert.py" in paths(found)
