"""Small projects in two states, each with one uncommitted fault among harmless changes."""

# ruff: noqa: E501 - a short file on a line

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent


@dataclass(frozen=True)
class Fault:
    """A change of `path`: texts that are replaced, the test that fails, and the lines to name.

    `files` are all files before the change. Without `changes`, the file is removed; `added`
    are files that the change adds.
    """

    test: str
    files: dict[str, str]
    path: str
    changes: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    added: dict[str, str] = field(default_factory=dict)

    @property
    def before(self) -> dict[str, str]:
        return {path: dedent(text).lstrip("\n") for path, text in self.files.items()}

    @property
    def after(self) -> dict[str, str | None]:
        """The files that are different after the change; None for a removed one."""
        text: str | None = self.before.get(self.path)
        if not self.changes and not self.added:
            text = None
        for old, new in self.changes:
            assert text is not None
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return {self.path: text, **self.added}


IN_FUNCTIONS = {
    "method": Fault(
        "test_bank.py::test_pay",
        {
            "bank.py": """
                class Account:
                    def __init__(self, balance=0):
                        self.balance = balance
                        self.log = []

                    def pay(self, amount):
                        self.log.append(amount)
                        self.balance -= amount
                        return self.balance
            """,
            "test_bank.py": """
                from bank import Account

                def test_pay(): assert Account(10).pay(3) == 7
                def test_new(): assert Account(4).balance == 4
            """,
        },
        "bank.py",
        (("-= amount", "+= amount"), ("self.log = []", "self.log = list()")),
        ("bank.py:8",),
    ),
    "deleted line": Fault(
        "test_store.py::test_save",
        {
            "store.py": """
                class Db:
                    def __init__(self):
                        self.saved, self.pending = [], []

                    def commit(self):
                        self.saved += self.pending

                def save(db, value):
                    db.pending.append(value)
                    db.commit()
                    return len(db.pending)
            """,
            "test_store.py": """
                from store import Db, save

                def test_save():
                    db = Db()
                    save(db, 4)
                    assert db.saved == [4]

                def test_number(): assert save(Db(), 4) == 1
            """,
        },
        "store.py",
        (("    db.commit()\n", ""),),
        ("store.py:10",),
    ),
    "coroutine": Fault(
        "test_fetch.py::test_fetch",
        {
            "fetch.py": """
                import asyncio

                async def double(x):
                    await asyncio.sleep(0)
                    return x * 2

                async def double_all(xs):
                    return await asyncio.gather(*map(double, xs))
            """,
            "test_fetch.py": """
                import asyncio
                from fetch import double_all

                def test_fetch(): assert asyncio.run(double_all([1, 2])) == [2, 4]
                def test_none(): assert asyncio.run(double_all([])) == []
            """,
        },
        "fetch.py",
        (("x * 2", "x * 3"), ("*map(double, xs)", "*(double(x) for x in xs)")),
        ("fetch.py:5",),
    ),
    "closure": Fault(
        "test_closure.py::test_scale",
        {
            "closure.py": """
                def scaler(factor):
                    def scale(x):
                        return x * factor
                    return scale

                def odd(n):
                    for number in range(n):
                        if number % 2:
                            yield number
            """,
            "test_closure.py": """
                from closure import odd, scaler

                def test_scale(): assert scaler(2)(3) == 6
                def test_odd(): assert list(odd(4)) == [1, 3]
            """,
        },
        "closure.py",
        (("x * factor", "x + factor"), ("if number % 2:", "if number % 2 == 1:")),
        ("closure.py:3",),
    ),
    "property": Fault(
        "test_shape.py::test_area",
        {
            "shape.py": """
                class Shape:
                    def __init__(self, a, b):
                        self.a, self.b = a, b

                    @property
                    def area(self):
                        return self.a * self.b

                    @classmethod
                    def square(cls, a):
                        return cls(a, a)
            """,
            "test_shape.py": """
                from shape import Shape

                def test_area(): assert Shape(2, 3).area == 6
                def test_square(): assert Shape.square(2).b == 2
            """,
        },
        "shape.py",
        (("self.a * self.b", "self.a + self.b"),),
        ("shape.py:7",),
    ),
    "parameters with their calls": Fault(
        "test_scale.py::test_twice",
        {
            "scale.py": """
                def scale(x, factor):
                    return x * factor

                def twice(x):
                    return scale(x, 2)
            """,
            "test_scale.py": """
                from scale import twice

                def test_twice(): assert twice(4) == 8
                def test_zero(): assert twice(0) in (0, 1)
            """,
        },
        "scale.py",
        (
            ("(x, factor)", "(x, plus, factor)"),
            ("x * factor", "x * factor + plus"),
            ("scale(x, 2)", "scale(x, 1, 2)"),
        ),
        ("scale.py:1", "scale.py:5"),
    ),
    "new helper": Fault(
        "test_adding.py::test_add",
        {
            "adding.py": """
                def add(x):
                    return x + 1
            """,
            "test_adding.py": """
                from adding import add

                def test_add(): assert add(1) == 2
            """,
        },
        "adding.py",
        (("return x + 1", "return plus(x)"), ("def add", "from adder import plus\n\ndef add")),
        ("adding.py:4",),
        {"adder.py": "def plus(x):\n    return x + 2\n"},
    ),
}
"""Faults inside functions."""

AT_IMPORT = {
    "dataclass field": Fault(
        "test_item.py::test_equal",
        {
            "item.py": """
                from dataclasses import dataclass, field

                @dataclass
                class Item:
                    name: str
                    note: str = field(default="", compare=False)
            """,
            "test_item.py": """
                from item import Item

                def test_equal(): assert Item("a", "x") == Item("a", "y")
                def test_name(): assert Item("a").name == "a"
            """,
        },
        "item.py",
        ((", compare=False", ""),),
        ("item.py:6",),
    ),
    "renamed function": Fault(
        "test_bill.py::test_bill",
        {
            "tax.py": "def rate(country):\n    return 20\n",
            "bill.py": "import tax\n\ndef bill(net):\n    return net + net * tax.rate('uk') // 100\n",
            "test_bill.py": "from bill import bill\n\ndef test_bill(): assert bill(100) == 120\n",
        },
        "tax.py",
        (("rate(", "rate_of("),),
        ("tax.py:1",),
    ),
    "constant": Fault(
        "test_limit.py::test_limit",
        {
            "limits.py": "LIMIT = 10\nNAME = 'x'\n",
            "limited.py": "from limits import LIMIT\n\ndef is_ok(n):\n    return n <= LIMIT\n",
            "test_limit.py": "from limited import is_ok\n\ndef test_limit(): assert is_ok(10)\n",
        },
        "limits.py",
        (("10", "9"), ("'x'", "'y'")),
        ("limits.py:1",),
    ),
    "decorator argument": Fault(
        "test_times.py::test_hello",
        {
            "times.py": """
                def times(n):
                    def decorate(function):
                        return lambda: [function() for _ in range(n)]
                    return decorate

                @times(3)
                def hello():
                    return "hello"
            """,
            "test_times.py": "from times import hello\n\ndef test_hello(): assert len(hello()) == 3\n",
        },
        "times.py",
        (("@times(3)", "@times(2)"),),
        ("times.py:6",),
    ),
    "default argument": Fault(
        "test_digits.py::test_show",
        {
            "digits.py": "def show(x, digits=2):\n    return f'{x:.{digits}f}'\n",
            "test_digits.py": "from digits import show\n\ndef test_show(): assert show(1) == '1.00'\n",
        },
        "digits.py",
        (("digits=2", "digits=3"),),
        ("digits.py:1",),
    ),
    "function that builds a table": Fault(
        "test_table.py::test_get",
        {
            "table.py": """
                def build():
                    table = {}
                    for n in range(3):
                        table[n] = n * 2
                    return table

                TABLE = build()

                def get(n):
                    return TABLE[n]
            """,
            "test_table.py": "from table import get\n\ndef test_get(): assert get(2) == 4\n",
        },
        "table.py",
        (("n * 2", "n * 3"), ("TABLE[n]", "TABLE[+n]")),
        ("table.py:4",),
    ),
    "deleted function": Fault(
        "test_deleted.py::test_a",
        {
            "deleted.py": "def a(x):\n    return b(x) + 1\n\ndef b(x):\n    return x\n",
            "test_deleted.py": "from deleted import a\n\ndef test_a(): assert a(1) == 2\n",
        },
        "deleted.py",
        (("\ndef b(x):\n    return x\n", ""),),
        ("deleted.py:3",),
    ),
}
"""Faults in code that runs at import."""

IN_FILES = {
    "renamed class": Fault(
        "test_depot.py",
        {
            "stock.py": "class Warehouse:\n    size = 1\n",
            "test_depot.py": "from stock import Warehouse\n\ndef test_size(): assert Warehouse.size\n",
        },
        "stock.py",
        (("Warehouse", "Depot"),),
        ("stock.py:1",),
    ),
    "missing package": Fault(
        "test_circle.py",
        {
            "circle.py": "import math\n\ndef area(r):\n    return math.pi * r * r\n",
            "test_circle.py": "from circle import area\n\ndef test_area(): assert area(0) == 0\n",
        },
        "circle.py",
        (("import math\n", "import math\nimport no_such_package\n"),),
        ("circle.py:2",),
    ),
    "syntax error": Fault(
        "test_syntax.py",
        {
            "wrong_syntax.py": "def f():\n    return 1\n\ndef g():\n    return 2\n",
            "test_syntax.py": "from wrong_syntax import f\n\ndef test_f(): assert f() == 1\n",
        },
        "wrong_syntax.py",
        (("def g():", "def g()"),),
        ("wrong_syntax.py:4",),
    ),
    "import cycle": Fault(
        "test_cycle.py",
        {
            "one.py": "import two\n\ndef f():\n    return two.g() + 1\n",
            "two.py": "def g():\n    return 1\n",
            "test_cycle.py": "from one import f\n\ndef test_f(): assert f() == 2\n",
        },
        "two.py",
        (("def g", "from one import f\n\ndef g"),),
        ("two.py:1",),
    ),
    "renamed module": Fault(
        "test_package.py",
        {
            "package/__init__.py": "",
            "package/maths.py": "def double(x):\n    return 2 * x\n",
            "package/use.py": "from package.maths import double\n",
            "test_package.py": "from package.use import double\n\ndef test_double(): assert double(1) == 2\n",
        },
        "package/maths.py",
        (),
        ("package/maths.py:1",),
    ),
    "deleted empty file": Fault(
        "test_empty.py::test_empty",
        {
            "empty_package/__init__.py": "",
            "empty_package/size.py": "SIZE = 1\n",
            "test_empty.py": "import empty_package\n\ndef test_empty(): assert empty_package.__file__\n",
        },
        "empty_package/__init__.py",
        (),
        ("empty_package/__init__.py:1",),
    ),
    "added empty file": Fault(
        "test_shadow.py::test_shadow",
        {
            "shadow.py": "def f():\n    return 1\n",
            "test_shadow.py": "import shadow\n\ndef test_shadow(): assert shadow.f() == 1\n",
        },
        "shadow/__init__.py",
        (),
        ("shadow/__init__.py:1",),
        {"shadow/__init__.py": ""},
    ),
    "deleted data": Fault(
        "test_prices.py::test_prices",
        {
            "prices.csv": "a,1\n",
            "prices.py": "from pathlib import Path\n\ndef prices():\n    return Path(__file__).with_name('prices.csv').read_text()\n",
            "test_prices.py": "from prices import prices\n\ndef test_prices(): assert prices() == 'a,1\\n'\n",
        },
        "prices.csv",
        (),
        ("prices.csv:1",),
    ),
    "fixture": Fault(
        "greeting/test_greet.py::test_greet",
        {
            "greeting/conftest.py": "import pytest\n\n@pytest.fixture\ndef user():\n    return {'name': 'ann'}\n",
            "greet.py": "def greet(user):\n    return 'hi ' + user['name']\n",
            "greeting/test_greet.py": "from greet import greet\n\ndef test_greet(user): assert greet(user) == 'hi ann'\n",
        },
        "greeting/conftest.py",
        (("'ann'", "'bob'"),),
        ("greeting/conftest.py:5",),
    ),
    "module that hides another": Fault(
        "test_colors.py::test_black",
        {
            "test_colors.py": "import colorsys\n\ndef test_black(): assert colorsys.rgb_to_hsv(0, 0, 0)[2] == 0\n",
        },
        "colorsys.py",
        (),
        ("colorsys.py:1",),
        {"colorsys.py": "def rgb_to_hls(): pass\n"},
    ),
}
"""Faults that are whole files, or that keep files from being imported."""
