"""What is observed of an exception: the values at fault and where they came from."""

from __future__ import annotations

import linecache
import unittest
from pathlib import Path

import pytest

from pytest_starcoder.evidence.facts import facts


def told(code: str, tmp_path: Path, **scope: object) -> tuple[str, ...]:
    """The facts on what `code` raises, a file of its own."""
    path = tmp_path / "code.py"
    path.write_text(code)
    linecache.checkcache(str(path))
    try:
        exec(compile(code, str(path), "exec"), {"__name__": "code", **scope})
    except BaseException as exc:  # noqa: BLE001 - that is what is looked at
        entry = exc.__traceback__
        inner = None
        while entry is not None:
            if entry.tb_frame.f_code.co_filename == str(path):
                inner = entry
            entry = entry.tb_next
        assert inner is not None
        return facts(exc, inner.tb_frame, inner.tb_lineno, inner.tb_lasti)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "def f(text):\n    parts = text.split('x')\n    return parts[0] + parts[1]\nf('3 apples')",
            (
                "parts[1]: index 1, but parts has length 1: ['3 apples']",
                "parts was assigned at line 2: parts = text.split('x')",
                "with parts = ['3 apples']",
            ),
        ),
        ("d = {'user': 1}\nd['usr']", ("d has 1 key, not 'usr'; the nearest is 'user'", "with d = {'user': 1}")),
        ("d = {1: 'a'}\nd['1']", ("d has 1 key, not '1'; the nearest is 1 as a number", "with d = {1: 'a'}")),
        (
            "def find(): return None\ndef f():\n    user = find()\n    return user.name\nf()",
            ("user is None", "user was assigned at line 3: user = find()", "with user = None"),
        ),
        ("name = 'x'\nname.uper()", ("the nearest attribute is 'upper'", "with name = 'x'")),
        ("total = 1\ntotl + 1", ("the nearest name is 'total'",)),
        (
            "def f():\n    x += 1\nf()",
            ("x is a local name here: it is assigned at line 2",),
        ),
        (
            "RATES = {'USD': '1.08'}\ndef f(amount):\n    return amount * 1.5 + RATES['USD']\nf(2)",
            (
                "in amount * 1.5 + RATES['USD'], RATES['USD'] is the str '1.08'",
                "RATES is defined at line 1: RATES = {'USD': '1.08'}",
                "with amount = 2",
            ),
        ),
        ("def f(a, *, b): pass\nf(1, c=2)", ("the signature is f(a, *, b)",)),
        (
            "def f(xs):\n    return sum(xs) / (len(xs) - 1)\nf([1])",
            ("the divisor len(xs) - 1 is 0", "with xs = [1]"),
        ),
        ("rows = None\nrows[0]", ("rows is None", "rows was assigned at line 1: rows = None", "with rows = None")),
        ("import jsn", ("the nearest module is 'json'",)),
        ("from json import dupms", ("the nearest name in json is 'dumps'",)),
        ("raw = b'ab\\xff'\nraw.decode('utf-8')", ("at index 2 of 3, around b'ab\\xff'", "with raw = b'ab\\xff'")),
        ("x = 3\nassert x in [1]", ("with x = 3",)),
        ("raise ValueError('bad')", ()),
    ],
)
def test_the_value_at_fault_and_where_it_came_from(code: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    assert told(code, tmp_path) == expected


def test_a_recursion_names_its_function_and_what_changes(tmp_path: Path) -> None:
    told_of_it = told("def again(n):\n    return again(n + 1)\nagain(0)", tmp_path)[:2]
    assert told_of_it == ("again calls itself without end", "n is 0, then 1, then 2, and so on")
    assert told("def again(n):\n    return again(n)\nagain(0)", tmp_path)[1] == "n stays 0"


def test_a_missing_file_has_its_nearest_neighbour_or_the_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "data.json").touch()
    assert told("open(PATH)", tmp_path, PATH=str(tmp_path / "dat.json"))[0] == "its folder is there, with 'data.json'"
    gone = str(tmp_path / "gone" / "deep" / "x.json")
    assert told("open(PATH)", tmp_path, PATH=gone)[0] == "the folder 'gone' is not there either"


def test_the_argument_that_a_caller_passed_names_the_caller(tmp_path: Path) -> None:
    code = "def f(x):\n    return x.name\ndef caller():\n    f(None)\ncaller()"
    assert told(code, tmp_path)[:2] == ("x is None", "x was passed by caller")


@pytest.mark.parametrize(
    ("assertion", "one", "other", "first"),
    [
        ("assertEqual", 3, 2, "the value is too large by 1"),
        ("assertEqual", {"a": 1}, {"b": 1}, "the key 'b' is missing"),
        ("assertEqual", [1], [2], "[0] is 1, not 2"),
        ("assertIn", "usr", ["user"], "it has 1 item, the nearest is 'user'"),
    ],
)
def test_the_values_of_a_unittest_assertion_are_compared(
    assertion: str, one: object, other: object, first: str, tmp_path: Path
) -> None:
    check = getattr(unittest.TestCase(), assertion)
    assert told("check(one, other)", tmp_path, check=check, one=one, other=other)[0] == first


HOSTILE = """
class Bad:
    def __repr__(self): raise RuntimeError
    def __eq__(self, other): raise RuntimeError
    def __len__(self): raise RuntimeError
    def __getattribute__(self, name):
        if name == "__class__": raise RuntimeError
        raise RuntimeError
bad = Bad()
"""


@pytest.mark.parametrize("line", ["bad + 1", "bad[0]", "bad.x", "bad()", "{}[bad]", "assert not 1, bad", "[][bad.x]"])
def test_hostile_values_do_no_harm(line: str, tmp_path: Path) -> None:
    assert isinstance(told(HOSTILE + line, tmp_path), tuple)


def test_no_property_is_run(tmp_path: Path) -> None:
    code = """
ran = []
class Shop:
    @property
    def rate(self):
        ran.append(1)
        return None
def f(shop):
    return ran[9] + shop.rate
f(Shop())
"""
    ran: list[int] = []
    told(code.replace("ran = []\n", ""), tmp_path, ran=ran)
    assert ran == []


def test_code_without_a_file_has_facts_of_the_exception_alone() -> None:
    with pytest.raises(KeyError) as error:
        exec(compile("d = {}\nd['x']", "<string>", "exec"), {})
    inner = error.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert facts(error.value, inner.tb_frame, 2, inner.tb_lasti) == ()  # type: ignore[union-attr]
