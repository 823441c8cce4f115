"""The functions that a failing line calls are found without running anything."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.source.callees import MAX_CALLEES, called_functions

Finder = Callable[..., list[str]]


@pytest.fixture
def callees(tmp_path: Path) -> Finder:
    """Return a function that finds the callees at the place where `here` raises Stop."""

    def find(source: str, *, is_followed: bool = True, ran: Sequence[str] = ()) -> list[str]:
        path = tmp_path / "module.py"
        path.write_text(source, "utf-8")
        linecache.checkcache(str(path))
        scope: dict[str, Any] = {"__name__": "module", "Stop": Stop, "ran": ran}
        exec(compile(source, str(path), "exec"), scope)
        with pytest.raises(Stop) as caught:
            scope["here"]()
        last = caught.value.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        assert last is not None
        codes = called_functions(
            last.tb_frame, last.tb_lineno, lambda name: is_followed and name == str(path)
        )
        return [code.co_qualname for code in codes]

    return find


class Stop(Exception): ...


HERE = "\ndef here():\n    {}\n    raise Stop\n"


def here(body: str) -> str:
    return HERE.format(body.replace("\n", "\n    "))


def test_called_by_name(callees: Finder) -> None:
    assert callees("def f(): ...\n" + here("f()")) == ["f"]


def test_order_of_callees(callees: Finder) -> None:
    source = "def a():\n    deep()\ndef b(): ...\ndef deep(): ...\n" + here("a()\nb()")
    assert callees(source) == ["b", "a", "deep"]


def test_calls_after_line(callees: Finder) -> None:
    source = (
        "def before(): ...\ndef after(): ...\ndef here():\n"
        "    before()\n    raise Stop\n    after()\n"
    )
    assert callees(source) == ["before"]


def test_mutual_calls(callees: Finder) -> None:
    source = "def a():\n    if 0: b()\ndef b():\n    if 0: a()\n" + here("a()")
    assert callees(source) == ["a", "b"]


def test_maximum_number(callees: Finder) -> None:
    source = "".join(f"def f{n}():\n    if 0: f{n + 1}()\n" for n in range(30)) + here("f0()")
    assert callees(source) == [f"f{n}" for n in range(MAX_CALLEES)]


def test_other_files(callees: Finder) -> None:
    assert callees("def f(): ...\n" + here("f()"), is_followed=False) == []


def test_nested_call(callees: Finder) -> None:
    assert sorted(callees("def a(x): ...\ndef b(): ...\n" + here("a([b() for _ in 'x'])"))) == [
        "a",
        "b",
    ]


CART = """
class Base:
    def __init__(self): ...
    def inherited(self): ...
class Cart(Base):
    def total(self): ...
    @staticmethod
    def static(): ...
    @classmethod
    def of_class(cls): ...
class Shop:
    def __init__(self):
        self.cart = Cart()
        self.hook = own
def own(): ...
cart = Cart()
shop = Shop()
"""


@pytest.mark.parametrize(
    ("call", "function"),
    [
        ("cart.total()", "Cart.total"),
        ("cart.inherited()", "Base.inherited"),
        ("Cart.static()", "Cart.static"),
        ("cart.static()", "Cart.static"),
        ("Cart.of_class()", "Cart.of_class"),
        ("cart.of_class()", "Cart.of_class"),
        ("Cart()", "Base.__init__"),
        ("Shop()", "Shop.__init__"),
        ("shop.cart.total()", "Cart.total"),
        ("shop.hook()", "own"),
        ("bound = cart.total\nbound()", "Cart.total"),
    ],
)
def test_methods_and_classes(callees: Finder, call: str, function: str) -> None:
    assert callees(CART + here(call))[0] == function


@pytest.mark.parametrize(
    "decorator",
    [
        "def decorated(f):\n    @functools.wraps(f)\n"
        "    def inner(*a): return f(*a)\n    return inner",
        "decorated = functools.lru_cache",
        "decorated = functools.lru_cache(maxsize=None)",
        "decorated = functools.singledispatch",
        "decorated = contextlib.contextmanager",
        "def decorated(f): return functools.lru_cache(functools.wraps(f)(lambda *a: f(*a)))",
        "class decorated:\n    def __init__(self, f): functools.update_wrapper(self, f)\n"
        "    def __call__(self, x): 0",
    ],
)
def test_decorated_function(callees: Finder, decorator: str) -> None:
    source = (
        f"import contextlib, functools\n{decorator}\n@decorated\ndef f(x=1):\n    yield\n"
        + here("f(1)")
    )
    assert callees(source)[0] == "f"


def test_decorated_method(callees: Finder) -> None:
    source = (
        "import functools\nclass A:\n    @classmethod\n"
        "    @functools.lru_cache\n    def f(cls): ...\n"
    )
    assert callees(source + here("A.f()")) == ["A.f"]


def test_circular_wrappers(callees: Finder) -> None:
    source = "def a(): ...\ndef b(): ...\na.__wrapped__ = b\nb.__wrapped__ = a\n" + here("a()")
    assert len(callees(source)) == 1


def test_async_function(callees: Finder) -> None:
    source = "async def f():\n    g()\ndef g(): ...\n" + here("f().close()")
    assert callees(source) == ["f", "g"]


def test_module_level(callees: Finder) -> None:
    source = "import types\ndef f(): ...\nshop = types.ModuleType('shop')\nshop.f = f\n" + here(
        "shop.f()"
    )
    assert callees(source) == ["f"]


@pytest.mark.parametrize(
    "call",
    [
        "unknown()",
        "nothing()",
        "(lambda: 1)()",
        "cart['x']()",
        "print('x')",
        "len('x')",
        "'x'.upper()",
        "Cart().total()",
    ],
)
def test_nameless_calls(callees: Finder, call: str) -> None:
    source = "cart, nothing = {}, None\nclass Cart:\n    def total(self): ...\n" + here(
        f"if 0: {call}"
    )
    assert callees(source) == []


HOSTILE = """
import types
class Module(types.ModuleType):
    def __getattr__(self, name): ran.append(name); raise AttributeError(name)
class Meta(type):
    @property
    def __mro__(cls): ran.append('mro'); return ()
    def __instancecheck__(cls, other): ran.append('instance'); return False
    def __subclasscheck__(cls, other): ran.append('subclass'); return False
class Descriptor:
    def __get__(self, *_): ran.append('descriptor'); return print
class Hostile(metaclass=Meta):
    field = Descriptor()
    def __getattribute__(self, name): ran.append(name); raise AttributeError(name)
    @property
    def prop(self): ran.append('prop')
    @property
    def __class__(self): ran.append('class'); return type
    @property
    def __wrapped__(self): ran.append('wrapped')
    @property
    def __dict__(self): ran.append('dict'); return {}
    def __eq__(self, other): ran.append('eq'); return True
    def __hash__(self): ran.append('hash'); return 0
    def __bool__(self): ran.append('bool'); return True
module, hostile = Module('m'), Hostile()
ran.clear()
"""


@pytest.mark.parametrize(
    "call",
    [
        *(
            "module.f()",
            "hostile.f()",
            "hostile.prop()",
            "hostile.field()",
            "hostile()",
            "hostile.prop.f()",
        ),
        *(
            "Hostile()",
            "Hostile.f()",
            "Hostile.field()",
            "Hostile.__init__()",
            "hostile.__class__()",
        ),
    ],
)
def test_no_user_code_runs(callees: Finder, call: str) -> None:
    ran: list[str] = []
    callees(HOSTILE + here(f"if 0: {call}"), ran=ran)
    assert ran == []
