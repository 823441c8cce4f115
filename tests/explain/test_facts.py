"""What is observed of an exception: the values at fault and where they came from."""

from __future__ import annotations

import sys
import time
import types
import unittest
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.raising import observe, raised_in

from pytest_starcoder.explain.facts import facts


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "def f(text):\n    parts = text.split('x')\n"
            "    return parts[0] + parts[1]\nf('3 apples')",
            (
                "parts[1]: index 1, but parts has length 1: ['3 apples']",
                "parts was assigned at line 2: parts = text.split('x')",
                "with parts = ['3 apples']",
            ),
        ),
        (
            "d = {'user': 1}\nd['usr']",
            ("d has 1 key, not 'usr'; the nearest is 'user'", "with d = {'user': 1}"),
        ),
        (
            "d = {1: 'a'}\nd['1']",
            ("d has 1 key, not '1'; the nearest is 1 as a number", "with d = {1: 'a'}"),
        ),
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
        (
            "rows = None\nrows[0]",
            ("rows is None", "rows was assigned at line 1: rows = None", "with rows = None"),
        ),
        ("import jsn", ("the nearest module is 'json'",)),
        ("from json import dupms", ("the nearest name in json is 'dumps'",)),
        (
            "raw = b'ab\\xff'\nraw.decode('utf-8')",
            ("at index 2 of 3, around b'ab\\xff'", "with raw = b'ab\\xff'"),
        ),
        ("x = 3\nassert x in [1]", ("with x = 3",)),
        ("raise ValueError('bad')", ()),
    ],
)
def test_value_and_origin(code: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    assert observe(code, tmp_path) == expected


def test_recursion(tmp_path: Path) -> None:
    sentences = observe("def again(n):\n    return again(n + 1)\nagain(0)", tmp_path)[:2]
    assert sentences == ("again calls itself without end", "n is 0, then 1, then 2, and so on")
    assert observe("def again(n):\n    return again(n)\nagain(0)", tmp_path)[1] == "n stays 0"


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "data.json").touch()
    assert (
        observe("open(PATH)", tmp_path, PATH=str(tmp_path / "dat.json"))[0]
        == "its folder exists, with 'data.json'"
    )
    gone = str(tmp_path / "gone" / "deep" / "x.json")
    [fact, *_] = observe("open(PATH)", tmp_path, PATH=gone)
    assert fact == "the folder 'gone' does not exist either"


def test_passed_argument(tmp_path: Path) -> None:
    code = "def f(x):\n    return x.name\ndef caller():\n    f(None)\ncaller()"
    assert observe(code, tmp_path)[:2] == ("x is None", "x was passed by caller at line 4")


@pytest.mark.parametrize(
    ("assertion", "actual", "expected", "first"),
    [
        ("assertEqual", 3, 2, "the value is too large by 1"),
        ("assertEqual", {"a": 1}, {"b": 1}, "the key 'b' is missing"),
        ("assertEqual", [1], [2], "[0] is 1, not 2"),
        ("assertIn", "usr", ["user"], "it has 1 item, the nearest is 'user'"),
    ],
)
def test_unittest_assertion(
    assertion: str, actual: object, expected: object, first: str, tmp_path: Path
) -> None:
    code, check = "check(a, b)", getattr(unittest.TestCase(), assertion)
    assert observe(code, tmp_path, check=check, a=actual, b=expected)[0] == first


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


@pytest.mark.parametrize(
    "line", ["bad + 1", "bad[0]", "bad.x", "bad()", "{}[bad]", "assert not 1, bad", "[][bad.x]"]
)
def test_hostile_values(line: str, tmp_path: Path) -> None:
    assert isinstance(observe(HOSTILE + line, tmp_path), tuple)


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
    observe(code.replace("ran = []\n", ""), tmp_path, ran=ran)
    assert ran == []


def test_code_without_file() -> None:
    with pytest.raises(KeyError) as error:
        exec(compile("d = {}\nd['x']", "<string>", "exec"), {})
    inner = error.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert facts(error.value, inner.tb_frame, 2, inner.tb_lasti) == ()  # type: ignore[union-attr]


def code_of(*lines: str) -> str:
    return "\n".join(lines)


FAILURES = {
    "an index is computed": (
        code_of("def f(xs):", "    i = 2", "    return xs[i + 1]", "f([1, 2, 3])"),
        "xs[i + 1]: index 3, but xs has length 3: [1, 2, 3]",
        "xs was passed by <module> at line 4",
        "with xs = [1, 2, 3], i = 2",
    ),
    "nothing is left to pop": (code_of("stack = []", "stack.pop()"), "stack is empty"),
    "nothing is there to choose from": (
        code_of("import random", "def f(xs):", "    return random.choice(xs)", "f([])"),
        "xs is empty",
        "xs was passed by <module> at line 4",
        "with xs = []",
    ),
    "the key is missing further inside": (
        code_of("def f(d):", "    return d['a']['c']", "f({'a': {'b': 1}})"),
        "d['a'] has 1 key, not 'c': ['b']",
        "d was passed by <module> at line 3",
    ),
    "a key that is deleted is not there": (
        code_of("def f(d, k):", "    del d[k]", "f({'a': 1}, 'A')"),
        "d has 1 key, not 'A'; the nearest is 'a'",
        "with d = {'a': 1}, k = 'A'",
    ),
    "an item that is removed is not there": (
        code_of("s = {1, 2}", "s.remove(3)"),
        "s has 2 items, not 3",
    ),
    "an ordered dict is a dict": (
        code_of("from collections import OrderedDict", "d = OrderedDict(a=1)", "d['b']"),
        "d has 1 key, not 'b': ['a']",
    ),
    "an attribute of the instance is near": (
        code_of(
            "class C:",
            "    def __init__(self): self.items = 1",
            "    def f(self): return self.item",
            "C().f()",
        ),
        "the nearest attribute is 'items'",
    ),
    "no attribute is near": (
        code_of(
            "class C:",
            "    def __init__(self): self.items, self.total = 1, 2",
            "c = C()",
            "c.x",
        ),
        "c is the C <pytest_starcoder.C object>",
        "c was assigned at line 3: c = C()",
        "C has items, total",
    ),
    "a value is of another type": (
        code_of("def f(user):", "    return user.name", "def g():", "    f(3)", "g()"),
        "user is the int 3",
        "user was passed by g at line 4",
        "with user = 3",
    ),
    "a function was not called": (
        code_of("def f(): pass", "f.items"),
        "f is the function itself: was it called?",
    ),
    "an item is None": (
        code_of("def f(items):", "    return [i.name for i in items]", "f([None])"),
        "i is None",
        "i was assigned at line 2: for i in items",
    ),
    "a module of Python's is not imported": (
        "json.dumps(1)",
        "json is a module of the standard library that is not imported here",
    ),
    "self was left out": (
        code_of(
            "class A:",
            "    def __init__(self): self.total = 1",
            "    def f(self): return total",
            "A().f()",
        ),
        "self has an attribute 'total'",
    ),
    "a name is assigned within a nested function alone": (
        code_of(
            "def f():",
            "    def inner():",
            "        total = 1",
            "    return totals",
            "total = 2",
            "f()",
        ),
        "the nearest name is 'total'",
    ),
    "too few arguments for a method": (
        code_of("class C:", "    def go(self, n: int = 1, *, m): pass", "C().go()"),
        "the signature is C.go(self, n: int=1, *, m)",
    ),
    "too few arguments for a dataclass": (
        code_of(
            "import dataclasses",
            "@dataclasses.dataclass",
            "class D:",
            "    x: int",
            "    y: int = 2",
            "D()",
        ),
        "the signature is D(self, x, y=…)",
    ),
    "arguments for a class without any": (
        code_of("class E: pass", "E(1)"),
        "E defines no __init__",
    ),
    "wrong arguments beside a sum": (
        code_of("def f(a, b): pass", "def g(x):", "    return f(x + 1)", "g(2)"),
        "the signature is f(a, b)",
        "with x = 2",
    ),
    "None is taken apart": (
        code_of("def find(): return None", "a, b = find()"),
        "find() returned None",
    ),
    "None is iterated over": (
        code_of("def f(rows):", "    for row in rows:", "        pass", "f(None)"),
        "rows is None",
        "rows was passed by <module> at line 4",
        "with rows = None",
    ),
    "None is passed on": (
        code_of("def f():", "    v = None", "    return int(v)", "f()"),
        "v is None",
        "v was assigned at line 2: v = None",
    ),
    "None is entered": (
        code_of("def f(n):", "    with n as opened:", "        pass", "f(None)"),
        "n is None",
        "n was passed by <module> at line 4",
    ),
    "a list is asked for a name": (
        code_of("def f(rows):", "    return rows['name']", "f([1])"),
        "rows is the list [1]",
        "rows was passed by <module> at line 3",
    ),
    "a key cannot be hashed": (code_of("k = [1]", "{}[k]"), "k is the list [1]"),
    "a number is called": (code_of("def f(g):", "    return g(3)", "f(5)"), "g is the int 5"),
    "a coroutine was not awaited": (
        code_of(
            "async def co(): return 1", "x = co()", "try:", "    x + 1", "finally:", "    x.close()"
        ),
        "in x + 1, x is a coroutine: was it awaited?",
        "x was assigned at line 2: x = co()",
    ),
    "two values are not compared": (
        code_of("def f(a, b):", "    if a < b:", "        return 1", "f(3, '4')"),
        "in a < b, a is the int 3 and b is the str '4'",
        "a was passed by <module> at line 4",
        "b was passed by <module> at line 4",
        "with a = 3, b = '4'",
    ),
    "a constant says enough": ("'a' + 3",),
    "more than is taken": (
        code_of("def f(parts):", "    name, value = parts", "f([1, 2, 3])"),
        "parts has 3 items: [1, 2, 3]",
        "parts was passed by <module> at line 3",
        "with parts = [1, 2, 3]",
    ),
    "a text is not a number": (
        code_of("def f(t):", "    n = t.strip()", "    return int(n)", "f('x1 ')"),
        "n was assigned at line 2: n = t.strip()",
        "with n = 'x1'",
    ),
    "an item has no index": (
        code_of("xs = ['user', 'b']", "xs.index('usr')"),
        "of xs: it has 2 items, the nearest is 'user'",
    ),
    "the largest of nothing": (
        code_of("xs = []", "max(xs)"),
        "xs is empty",
        "xs was assigned at line 1: xs = []",
    ),
    "no such member": (
        code_of(
            "import enum", "class C(enum.Enum):", "    RED = 'red'", "    BLUE = 'blue'", "C('rde')"
        ),
        "C has ['red', 'blue']; the nearest is 'red'",
    ),
    "no JSON": (
        code_of("import json", "json.loads('{\"a\": x}')"),
        "at index 6 of 8, around '{\"a\": x}'",
    ),
    "no text for JSON": (code_of("import json", "json.loads('')"), "the text is empty"),
    "the divisor is a name": (
        code_of("def f(xs, n):", "    n -= 2", "    return sum(xs) % n", "f([1], 2)"),
        "the divisor n is 0",
        "n was assigned at line 2: n -= 2",
        "with xs = [1], n = 0",
    ),
    "the divisor is an attribute's length": (
        code_of(
            "class C:",
            "    def __init__(self): self.items = []; self.password = 'hunter2hunter2'",
            "    def f(self): return self.password, 1 / len(self.items)",
            "C().f()",
        ),
        "the divisor len(self.items) is 0",
        "with self.items = []",
    ),
    "the first argument stays": (
        code_of("def f(acc, n): return f(acc, n - 1)", "f(1, 3)"),
        "f calls itself without end",
        "n is 3, then 2, then 1, and so on",
    ),
    "there is no next": (code_of("it = iter([])", "next(it)"), "it has no more items"),
    "there is none at all": (
        code_of("xs = [1]", "next(x for x in xs if x > 2)"),
        "(x for x in xs if x > 2) has no items",
    ),
    "a condition was met": (
        code_of("def f(a, b):", "    if not a:", "        raise ValueError('bad')", "f(0, 1)"),
        "with a = 0",
    ),
    "None is to be called, and has no place": (code_of("f = None", "print(*f)"), "f is None"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_most_telling_fact_first(name: str, tmp_path: Path) -> None:
    code, *expected = FAILURES[name]
    assert list(observe(code, tmp_path))[: len(expected)] == expected


@pytest.mark.parametrize("name", FAILURES)
def test_without_positions(name: str, tmp_path: Path) -> None:
    exc, entry = raised_in(tmp_path / "code.py", FAILURES[name][0])
    sentences = facts(exc, entry.tb_frame, entry.tb_lineno, -1)
    assert all(len(sentence) <= 200 and "\n" not in sentence for sentence in sentences)
    assert sentences or len(FAILURES[name]) == 1


def test_nearest_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_of_facts").mkdir()
    for name in ("__init__", "prices"):
        (tmp_path / "shop_of_facts" / f"{name}.py").write_text("RATE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        [fact] = observe("import shop_of_fact", tmp_path)
        assert fact == "the nearest module is 'shop_of_facts'"
        assert observe("import shop_of_facts.price", tmp_path) == (
            "the nearest module is 'shop_of_facts.prices'",
        )
        assert (
            observe("from shop_of_facts import RATES", tmp_path)[0]
            == "the nearest name in shop_of_facts is 'RATE'"
        )
    finally:
        for name in [name for name in sys.modules if name.startswith("shop_of_facts")]:
            del sys.modules[name]


def test_shadowed_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("random")
    module.__file__ = str(tmp_path / "random.py")
    monkeypatch.setitem(sys.modules, "random", module)
    expected = "random is the file random.py next to code.py, not the standard library module"
    assert observe("import random\nrandom.choice", tmp_path)[0] == expected
    assert observe("from random import choice", tmp_path)[0] == expected


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "rates.json").touch()
    expected = "it exists next to code.py, but relative paths start at the working directory"
    assert observe("open('rates.json')", tmp_path)[0] == expected


def test_fixture_value(tmp_path: Path) -> None:
    runner: dict[str, object] = {"__name__": "_pytest.python"}
    exec("def run(test):\n    test(None)", runner)
    code = "def test_it(cart):\n    cart.total\nrun(test_it)"
    sentences = observe(code, tmp_path, run=runner["run"])
    assert sentences[:2] == ("cart is None", "cart is a fixture value or a parameter of the test")


def test_expected_value_first(tmp_path: Path) -> None:
    code = "total = 3\ncheck.assertEqual(2, total)"
    assert observe(code, tmp_path, check=unittest.TestCase())[0] == "the value is too large by 1"


def test_generator_on_line(tmp_path: Path) -> None:
    code = (
        "def f(rows, rate):\n    return sum(row['price'] * rate for row in rows)\n"
        "f([{'price': '3'}], 1.5)"
    )
    exc, _ = raised_in(tmp_path / "code.py", code)
    entry = exc.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_name != "f":
        entry = entry.tb_next
    assert entry is not None
    assert facts(exc, entry.tb_frame, entry.tb_lineno, entry.tb_lasti) == (
        "in row['price'] * rate, row['price'] is the str '3' and rate is the float 1.5",
        "row was assigned at line 2: for row in rows",
        "rate was passed by <module> at line 3",
        "with row = {'price': '3'}, rate = 1.5, rows = [{'price': '3'}]",
    )


def test_negated_unittest_assertion(tmp_path: Path) -> None:
    check = unittest.TestCase().assertNotEqual
    assert observe("check(1, 1)", tmp_path, check=check) == ()


def test_interrupted_repr(tmp_path: Path) -> None:
    code = "class C:\n    def __repr__(self): raise KeyboardInterrupt\nc = C()\nc + 1"
    with pytest.raises(KeyboardInterrupt):
        observe(code, tmp_path)


def test_speed_on_large_values(tmp_path: Path) -> None:
    large = {
        "text": "x" * 5_000_000,
        "rows": list(range(1_000_000)),
        "keys": {f"key {n}": n for n in range(200_000)},
    }
    began = time.monotonic()
    for line in (
        "text[9999999]",
        "rows[9999999]",
        "keys['kye 7']",
        "text.uper",
        "text + 1",
        "int(text)",
    ):
        assert observe(line, tmp_path, **large)
    assert time.monotonic() - began < 10


STATEMENTS = st.sampled_from(
    [
        "{a}[{b}]",
        "{a} + {b}",
        "{a}.{n}",
        "{a}({b})",
        "{a}, {n} = {b}",
        "int({a})",
        "for {n} in {a}: {b}[0]",
        "{a} / {b}",
        "with {a} as {n}: pass",
        "assert {a} == {b}, {n}",
        "[x for x in {a} if x.y == {b}]",
        "{a} += {b}",
        "if {a} < {b}: raise ValueError({n})",
        "del {a}[{b}]",
        "(lambda: {a}.q)()",
        "raise {n}",
        "{n}.append(*{a}, **{b})",
    ]
)
OPERANDS = st.sampled_from(
    ["None", "0", "'a'", "[]", "{}", "bad", "len", "xs[0]", "self.x", "nope", "-1", "1.5", "b''"]
)


@given(STATEMENTS, OPERANDS, OPERANDS, st.sampled_from(["n", "bad", "xs"]))
def test_any_failing_line(
    tmp_path_factory: pytest.TempPathFactory, line: str, a: str, b: str, n: str
) -> None:
    code = HOSTILE + (
        f"class S: pass\nself = S()\nself.x = 0\nxs = [None]\n"
        f"def f(n):\n    {line.format(a=a, b=b, n=n)}\nf(bad)"
    )
    try:
        compile(code, "code.py", "exec")
    except SyntaxError:
        return
    try:
        exc, entry = raised_in(tmp_path_factory.getbasetemp() / "any.py", code)
    except AssertionError:
        return  # that line does not fail
    for lasti in (entry.tb_lasti, -1, 10_000):
        sentences = facts(exc, entry.tb_frame, entry.tb_lineno, lasti)
        assert len(sentences) <= 4
        assert all(
            0 < len(sentence) <= 200 and "\n" not in sentence and " at 0x" not in sentence
            for sentence in sentences
        )


def test_targets_of_the_last_round(tmp_path: Path) -> None:
    code = "for text in ('2', ''):\n    copies = int(text)"
    assert observe(code, tmp_path)[-1] == "with text = ''"


def test_target_that_is_read(tmp_path: Path) -> None:
    code = "total = 1\nfor text in ('2', ''):\n    total += int(text)"
    assert observe(code, tmp_path)[-1] == "with text = '', total = 3"


def test_called_function_is_no_suspect(tmp_path: Path) -> None:
    code = (
        "import csv, io\ndef columns(): return ['a']\n"
        "csv.DictWriter(io.StringIO(), fieldnames=columns(), line_terminator='|')"
    )
    assert not any("itself" in sentence for sentence in observe(code, tmp_path))


def test_origin_of_an_import(tmp_path: Path) -> None:
    found = observe("import json\nlen(json.dumps)", tmp_path)
    assert found == ("json.dumps is the function itself: was it called?",)


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("a < b", "a is a datetime without a time zone, 2024-01-01 00:00:00"),
        ("a - b", "b is a datetime with a time zone, 2024-01-01 00:00:00+00:00"),
    ],
)
def test_naive_and_aware_datetimes(code: str, fact: str, tmp_path: Path) -> None:
    naive, aware = datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)
    assert fact in observe(code, tmp_path, a=naive, b=aware)[0]
