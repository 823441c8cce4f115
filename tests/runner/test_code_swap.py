"""Swapping the code of live functions."""

# ruff: noqa: E501 - a function on a line is a row of a table

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from pytest_starcoder.runner.code_swap import (
    FileCode,
    Unswappable,
    functions_alive,
    identity,
    install,
    outer_functions,
)

Load = Callable[[str], tuple[ModuleType, FileCode]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    names: list[str] = []

    def loaded(source: str) -> tuple[ModuleType, FileCode]:
        path = tmp_path / f"swapped_{len(names)}.py"
        text = dedent(source)
        path.write_text(text, "utf-8", newline="")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        names.append(path.stem)
        spec.loader.exec_module(module)
        alive = functions_alive(lambda filename: filename == str(path)).get(str(path), [])
        return module, FileCode(str(path), text, alive)

    yield loaded
    for name in names:
        del sys.modules[name]


def change(swappable: FileCode, before: str, after: str) -> Any:
    start = swappable.source.index(before)
    return swappable.swap([(start, start + len(before), after)])


@pytest.mark.parametrize(
    ("source", "before", "after", "call", "expected"),
    [
        ("def f(x):\n    return x + 1\n", "+ 1", "+ 2", "f(1)", 3),
        ("class A:\n    def f(self):\n        return 1\n", "return 1", "return 2", "A().f()", 2),
        ("class A:\n    class B:\n        def f(self):\n            return 1\n", "turn 1", "turn 2", "A.B().f()", 2),
        ("class A:\n    def __f(self):\n        return 1\n    def g(self):\n        return 0\n", "n 0", "n self.__f()", "A().g()", 1),
        ("class P:\n    def f(self):\n        return 1\nclass A(P):\n    def f(self):\n        return super().f() + 1\n", "+ 1", "+ 5", "A().f()", 6),
        ("class A:\n    @property\n    def f(self):\n        return 1\n", "return 1", "return 2", "A().f", 2),
        ("class A:\n    @staticmethod\n    def f(): return 1\n", "return 1", "return 2", "A.f()", 2),
        ("def f():\n    def g():\n        return 1\n    return g()\n", "return 1", "return 2", "f()", 2),
        ("def out():\n    n = 1\n    def g():\n        return n\n    return g\ng = out()\n", "return n\n", "return n + 1\n", "g()", 2),
        ("def f():\n    yield 1\n", "yield 1", "yield 2", "list(f())", [2]),
        ("if True:\n    def f():\n        return 1\n", "return 1", "return 2", "f()", 2),
        ("import functools\n@functools.cache\ndef f():\n    return 1\n", "return 1", "return 2", "f()", 2),
        ("def f(n):\n    return n if n < 1 else f(n - 2)\n", "n - 2", "n - 1", "f(3)", 0),
        ("class Ä:\n    def f(self, ü='é'):\n        return 'ö' + ü\n", "'ö' + ü", "ü + 'ö'", "Ä().f()", "éö"),
        ("class A:\n\tdef f(self):\n\t\treturn 1\n", "return 1", "return 2", "A().f()", 2),
        ("from __future__ import annotations\ndef f(x: nothing = 1):\n    return x + 1\n", "+ 1", "+ 2", "f()", 3),
        ("class A:\n    f = lambda self: 1\n    def g(self):\n        return self.f()\n", "self.f()", "2", "A().g()", 2),
        ("def f():\n    return [lambda: n for n in (1, 2)][0]()\n", "[0]", "[1]", "f()", 2),
    ],
)  # fmt: skip
def test_swap(
    load: Load, source: str, before: str, after: str, call: str, expected: object
) -> None:
    module, swappable = load(source)
    old = eval(call, vars(module).copy())
    back = install(change(swappable, before, after))
    [getattr(vars(module).get(name), "cache_clear", int)() for name in ("f",)]
    assert eval(call, vars(module).copy()) == expected
    install(back)
    [getattr(vars(module).get(name), "cache_clear", int)() for name in ("f",)]
    assert eval(call, vars(module).copy()) == old


def test_holders_run_the_new_code(load: Load) -> None:
    module, swappable = load("def f(): return 1\nholders = [f]\nclass A:\n    g = f\n")
    install(change(swappable, "return 1", "return 2"))
    assert (module.holders[0](), module.A.__dict__["g"]()) == (2, 2)


def test_traceback_lines(load: Load) -> None:
    module, swappable = load("\n\nclass A:\n\n    def f(self):\n        x = 1\n        return x\n")
    install(change(swappable, "return x", "return x / 0"))
    with pytest.raises(ZeroDivisionError) as raised:
        module.A().f()
    assert raised.traceback[-1].lineno + 1 == 7


@pytest.mark.parametrize(
    ("source", "before", "after", "why"),
    [
        ("N = 1\ndef f(): return N\n", "N = 1", "N = 2", "not in the body"),
        ("def f(n=1): return n\n", "n=1", "n=2", "not in the body"),
        ("def out():\n    m = n = 1\n    def g():\n        return n\n    return g\ng = out()\n", "return n\n", "return m\n", "other outer variables"),
        ("if 0:\n    def f(): return 1\n", "return 1", "return 2", "in no live function"),
    ],
)  # fmt: skip
def test_unswappable(load: Load, source: str, before: str, after: str, why: str) -> None:
    _, swappable = load(source)
    with pytest.raises(Unswappable, match=why):
        change(swappable, before, after)


def test_syntax_error(load: Load) -> None:
    _, swappable = load("def f(x):\n    return x + 1\n")
    with pytest.raises(SyntaxError):
        change(swappable, "x + 1", "x +")


def test_two_changes(load: Load) -> None:
    module, swappable = load("def f(x):\n    x = x + 1\n    return x * 1\n")
    source = swappable.source
    install(
        swappable.swap(
            [
                (source.index("+ 1") + 2, source.index("+ 1") + 3, "2"),
                (source.index("* 1") + 2, source.index("* 1") + 3, "10"),
            ]
        )
    )
    assert module.f(1) == 30


def test_identity(load: Load) -> None:
    _, swappable = load("def f(x):\n    return x + 1\n")
    written = [
        change(swappable, "x + 1", text)
        for text in ("(x) + 1", "x  +  (1)", "x + 2", "x + 1.0", "x + True")
    ]
    kinds = [identity(swap) for swap in written]
    assert kinds[0] == kinds[1]
    assert len({*kinds}) == 4


def test_outer_functions() -> None:
    source = "def a():\n    def b(): pass\nclass C:\n    @x\n    def d(self):\n        'doc'\nif 1:\n    async def e(): pass\n"
    assert [
        (source[unit.body : unit.end], unit.classes, unit.line) for unit in outer_functions(source)
    ] == [
        ("    def b(): pass", (), 1),
        ("        'doc'", ("C",), 4),
        ("pass", (), 8),
    ]


@pytest.mark.parametrize(
    "source",
    ["def f():\n    return 1\n", "class A:\n    def f(self):\n        return 1\n"],
)
@pytest.mark.parametrize("added", ["\n\ndef g():\n    return 2", "\nX = 1"])
def test_code_after_the_function(load: Load, source: str, added: str) -> None:
    _, swappable = load(source)
    with pytest.raises(Unswappable, match="it adds code after the function"):
        change(swappable, "return 1", f"return 1{added}")


def test_method_after_the_function(load: Load) -> None:
    _, swappable = load("class A:\n    def f(self):\n        return 1\n")
    with pytest.raises(Unswappable, match="it adds code after the function"):
        change(swappable, "return 1", "return 1\n\n    def g(self):\n        return 2")


def test_lines_added_to_a_method(load: Load) -> None:
    module, swappable = load("class A:\n    def f(self):\n        return 1\n")
    install(change(swappable, "return 1", "x = 2\n\n        return x"))
    assert module.A().f() == 2
