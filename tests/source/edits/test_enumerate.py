# ruff: noqa: E501 - a fault and its repair on a line are a row of a table
"""Edits of source code: the faults that they repair, and that they parse."""

from __future__ import annotations

import ast
import bisect
import inspect
import textwrap
import time
import warnings
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.source.edits import (
    EXTENDED,
    Direction,
    Observations,
    apply_edits,
    enumerate_edits,
)
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.edits.kind import every_kind


def edits(source: str, *lines: int, **observed: object) -> list[Edit]:
    selected = lines or range(1, source.count("\n") + 2)
    return list(enumerate_edits(source, "code.py", list(selected), Observations(**observed)))  # type: ignore[arg-type]


REPAIRS = [
    ("misspelt word", "def f(a):\n    return a['factor'] or a.factory", "def f(a):\n    return a['factory'] or a.factory"),
    ("misspelt word", "def f(a):\n    return a['nmae'] or a.name", "def f(a):\n    return a['name'] or a.name"),
    ("misspelt word", "def f(a):\n    return a['nane'] or a.name", "def f(a):\n    return a['name'] or a.name"),
    ("misspelt word", "def f(a):\n    return a['__neg_']", "def f(a):\n    return a['__neg__']"),
    ("comparison operator", "def f(a, b):\n    return a < b", "def f(a, b):\n    return a <= b"),
    ("comparison operator", "def f(a, b):\n    return a in b", "def f(a, b):\n    return a not in b"),
    ("comparison operator", "def f(a, b):\n    return a is b", "def f(a, b):\n    return a == b"),
    ("comparison turned", "def f(a, b):\n    return a in b", "def f(a, b):\n    return b in a"),
    ("comparison shortened", "def f(a):\n    return 0 < a < 9", "def f(a):\n    return a < 9"),
    ("arithmetic operator", "def f(a, b):\n    return a - b", "def f(a, b):\n    return a + b"),
    ("arithmetic operator", "def f(a, b):\n    return a - b", "def f(a, b):\n    return a % b"),
    ("operand dropped", "def f(a):\n    return sum(a) / (len(a) - 1)", "def f(a):\n    return sum(a) / len(a)"),
    ("inner operand dropped", "def f(a, b):\n    return a ** 2 * b", "def f(a, b):\n    return a ** b"),
    ("operands swapped", "def f(a, b):\n    return a - b", "def f(a, b):\n    return b - a"),
    ("grouping", "def f(a, b):\n    return a + b * 2", "def f(a, b):\n    return (a + b) * 2"),
    ("and or", "def f(a, b):\n    return a and b", "def f(a, b):\n    return a or b"),
    ("condition dropped", "def f(a, b):\n    return a and b", "def f(a, b):\n    return b"),
    ("condition negated", "def f(a, b):\n    return a and b", "def f(a, b):\n    return a and not b"),
    ("sign dropped", "def f(a):\n    return not a", "def f(a):\n    return a"),
    ("augmented operator", "def f(a):\n    a -= 1\n    return a", "def f(a):\n    a += 1\n    return a"),
    ("augmented to plain", "def f(a, b):\n    a += b\n    return a", "def f(a, b):\n    a = b\n    return a"),
    ("plain to augmented", "def f(a, b):\n    a = b\n    return a", "def f(a, b):\n    a += b\n    return a"),
    ("condition of a conditional", "def f(a):\n    return 1 if a else 2", "def f(a):\n    return 2 if a else 1"),
    ("negation", "def f(a):\n    if a:\n        return 1", "def f(a):\n    if not a:\n        return 1"),
    ("integer constant", "def f(a):\n    return a[0]", "def f(a):\n    return a[1]"),
    ("integer constant", "LIMIT = 3", "LIMIT = 4"),
    ("integer constant", "def f(a=1):\n    return a", "def f(a=2):\n    return a"),
    ("float constant", "RATES = {\n    'a': 0.3,\n}", "RATES = {\n    'a': 0.2,\n}"),
    ("text constant", "def f(a):\n    return 'x' if a else 'y'", "def f(a):\n    return '' if a else 'y'"),
    ("text constant", "def f(a):\n    return a.split('(')", "def f(a):\n    return a.split('[')"),
    ("boolean", "def f():\n    return True", "def f():\n    return False"),
    ("None", "def f():\n    return None", "def f():\n    return []"),
    ("empty collection", "def f(a):\n    a = []\n    return a", "def f(a):\n    a = {}\n    return a"),
    ("name", "def f(a, b):\n    return a", "def f(a, b):\n    return b"),
    ("target", "def f(a, b):\n    a = 1\n    return a, b", "def f(a, b):\n    b = 1\n    return a, b"),
    ("name for a constant", "def f(a):\n    return a + 1", "def f(a):\n    return a + a"),
    ("constant for a name", "def f(a, b):\n    return a + b", "def f(a, b):\n    return a + 1"),
    ("attribute", "class A:\n    def f(self):\n        self.x = 1\n        return self.y", "class A:\n    def f(self):\n        self.x = 1\n        return self.x"),
    ("self added", "class A:\n    def f(self, x):\n        self.x = x\n        return x", "class A:\n    def f(self, x):\n        self.x = x\n        return self.x"),
    ("attribute dropped", "def f(a):\n    return a.b", "def f(a):\n    return a"),
    ("other function", "def f(a):\n    return min(a)", "def f(a):\n    return max(a)"),
    ("other method", "def f(a, b):\n    a.append(b)", "def f(a, b):\n    a.extend(b)"),
    ("arguments swapped", "def f(a, b):\n    return g(a, b)", "def f(a, b):\n    return g(b, a)"),
    ("argument dropped", "def f(a, b):\n    return g(a, key=b)", "def f(a, b):\n    return g(a)"),
    ("keyword added", "def f(a, b):\n    return g(a)", "def f(a, b):\n    return g(a, b=b)"),
    ("call unwrapped", "def f(a):\n    return sorted(a)", "def f(a):\n    return a"),
    ("call wrapped", "def f(a):\n    return a", "def f(a):\n    return sorted(a)"),
    ("method wrapped", "def f(a):\n    return a", "def f(a):\n    return a.lower()"),
    ("key given", "def f(a):\n    return sorted(a)", "def f(a):\n    return sorted(a, key=len)"),
    ("default given", "def f(a):\n    return a.get('x')", "def f(a):\n    return a.get('x', 0)"),
    ("await dropped", "async def f(a):\n    return await a", "async def f(a):\n    return a"),
    ("await added", "async def f(a):\n    return a()", "async def f(a):\n    return await a()"),
    ("recursion argument", "def f(n):\n    return f(n - 2)", "def f(n):\n    return f(n - 1)"),
    ("one added", "def f(a):\n    return range(len(a))", "def f(a):\n    return range(len(a) - 1)"),
    ("slice bound dropped", "def f(a):\n    return a[1:]", "def f(a):\n    return a[:]"),
    ("slice bound added", "def f(a):\n    return a[:2]", "def f(a):\n    return a[1:2]"),
    ("slice added", "def f(a):\n    return a", "def f(a):\n    return a[::-1]"),
    ("index added", "def f(a):\n    return a", "def f(a):\n    return a[0]"),
    ("index dropped", "def f(a):\n    return a[0]", "def f(a):\n    return a"),
    ("index to a whole", "def f(a):\n    return a[0]", "def f(a):\n    return sum(a)"),
    ("index from the end", "def f(a, i):\n    return a[i]", "def f(a, i):\n    return a[-i]"),
    ("elements swapped", "def f(a, b):\n    return a, b", "def f(a, b):\n    return b, a"),
    ("element dropped", "def f(a, b):\n    return [a, b]", "def f(a, b):\n    return [a]"),
    ("range bound", "def f(n):\n    return range(n)", "def f(n):\n    return range(1, n + 1)"),
    ("filter dropped", "def f(a):\n    return [b for b in a if b]", "def f(a):\n    return [b for b in a]"),
    ("enumerate start", "def f(a):\n    return enumerate(a)", "def f(a):\n    return enumerate(a, 1)"),
    ("statement deleted", "def f(a):\n    a.pop()\n    return a", "def f(a):\n    pass\n    return a"),
    ("break for continue", "for a in b:\n    break", "for a in b:\n    continue"),
    ("return added", "def f(a):\n    g(a)", "def f(a):\n    return g(a)"),
    ("other value returned", "def f(a, b):\n    return g(a)", "def f(a, b):\n    return b"),
    ("return dropped", "def f(a):\n    return g(a)", "def f(a):\n    g(a)"),
    ("yield for return", "def f(a):\n    return a", "def f(a):\n    yield a"),
    ("yield", "def f(a):\n    yield a", "def f(a):\n    yield from a"),
    ("result kept", "def f(a):\n    a = a.sort()\n    return a", "def f(a):\n    a.sort()\n    return a"),
    ("condition always true", "def f(a):\n    if a:\n        return 1", "def f(a):\n    if True:\n        return 1"),
    ("while for if", "def f(a):\n    if a:\n        a.pop()", "def f(a):\n    while a:\n        a.pop()"),
    ("except", "try:\n    a()\nexcept KeyError:\n    pass", "try:\n    a()\nexcept IndexError:\n    pass"),
    ("other exception", "def f(a):\n    raise KeyError(a)", "def f(a):\n    raise ValueError(a)"),
    ("moved out of the block", "def f(a):\n    for b in a:\n        g(b)\n        return a", "def f(a):\n    for b in a:\n        g(b)\n    return a"),
    ("copied into the block", "def f(a):\n    for b in a:\n        g(b)\n    h(a)", "def f(a):\n    for b in a:\n        g(b)\n        h(a)\n    h(a)"),
    ("statement added", "def f(n):\n    g(n)\n    return n", "def f(n):\n    g(n)\n    n += 1\n    return n"),
    ("append added", "def f(a, b):\n    g(b)\n    return a", "def f(a, b):\n    g(b)\n    a.append(b)\n    return a"),
    ("wrapped in a condition", "def f(a):\n    g(a)", "def f(a):\n    if a:\n        g(a)"),
    ("wrapped in a comparison", "def f(a, b):\n    g(a)", "def f(a, b):\n    if a == b:\n        g(a)"),
    ("guard", "def f(a):\n    return a[0]", "def f(a):\n    if not a:\n        return None\n    return a[0]"),
    ("condition joined", "def f(a, b):\n    if a:\n        return 1", "def f(a, b):\n    if (a) and (b):\n        return 1"),
    ("expression copied", "def f(a, b):\n    g(a.b)\n    return b", "def f(a, b):\n    g(a.b)\n    return a.b"),
    ("operation added", "def f(a, b):\n    return a", "def f(a, b):\n    return a + b"),
    ("decorator dropped", "class A:\n    @property\n    def f(self):\n        return 1", "class A:\n    def f(self):\n        return 1"),
    ("decorator exchanged", "class A:\n    @staticmethod\n    def f(a):\n        return a", "class A:\n    @classmethod\n    def f(a):\n        return a"),
    ("decorator added", "class A:\n    def f(self):\n        return 1", "class A:\n    @property\n    def f(self):\n        return 1"),
    ("default value shared", "def f(a=[]):\n    return a", "def f(a=None):\n    if a is None:\n        a = []\n    return a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "fault", "repair"), REPAIRS, ids=lambda value: value if len(value) < 30 else ""
)
def test_repair(kind: str, fault: str, repair: str) -> None:
    assert repair in {apply_edits(fault, [edit]) for edit in edits(fault)}


def test_every_kind_is_tested() -> None:
    tested = {kind for kind, _, _ in REPAIRS} | {"bytes constant"}
    assert {kind.name for kind in every_kind()} <= tested


def test_string_of_the_test() -> None:
    [edit] = [
        edit
        for edit in edits("def f():\n    return 'a'", strings=("needle",))
        if "needle" in edit.after
    ]
    assert edit.kind == "text of the test"


def test_name_of_another_type() -> None:
    source = "def f(number, text, ratio):\n    return number"
    types = {
        1: {"number": frozenset({"int"}), "text": frozenset({"str"}), "ratio": frozenset({"float"})}
    }
    names = {edit.after for edit in edits(source, 2, types=types) if edit.kind == "name"}
    assert names == {"ratio"}


@pytest.mark.parametrize("text", ["a - 0", "a + 0", "a * 1", "a / 1"])
def test_no_neutral_operation(text: str) -> None:
    for source in ("def f(a):\n    return a - 1", "def f(a):\n    return a * 2"):
        assert text not in {edit.after for edit in edits(source)}


def test_only_selected_lines() -> None:
    source = "def f(a):\n    b = a + 1\n    c = b + 1\n    return c\n"
    for line in (2, 3, 4):
        for edit in edits(source, line):
            assert edit.line in (line, line + 1), "an addition begins behind it"


def test_syntax_error() -> None:
    assert edits("def f(:\n") == []


def test_costs() -> None:
    kinds = {kind.name: kind.cost for kind in every_kind()}
    assert (
        kinds["integer constant"]
        < kinds["call wrapped"]
        < EXTENDED
        <= kinds["expression copied"]
        < kinds["guard"]
    )


def test_direction() -> None:
    source = "def f(a):\n    return a < 1"
    mutants = {
        edit.kind for edit in enumerate_edits(source, "code.py", [2], direction=Direction.BREAKS)
    }
    assert "comparison operator" in mutants


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n    'é'\n    b = 'ü' + a; return b + 'ö'\n",
        "class A:\n\tdef f(self, a):\n\t\tif a:\n\t\t\treturn a - 1\n\t\treturn f'{a + 1} {a!r}'\n",
        "def f(a):\n    return (\n        a\n        + 1\n    )\n",
        "@x\n@y(1)\ndef f(a, *b, c=(), **d):\n    '''text'''\n    with a as e, b:\n        yield e[1:2, ...]\n",
        "async def f(a):\n    async for b in a:\n        async with b as c:\n            await c\n    return [d async for d in a]\n",
        "def f(a):\n    match a:\n        case [1, b]:\n            return b\n        case {'x': c} if c:\n            return c\n",
        "def f(a):\n    global g\n    g = lambda b: b + 1\n    return a if (n := a) else n\n",
    ],
)
def test_odd_code(source: str) -> None:
    check(source)


@pytest.mark.parametrize(
    "module",
    [textwrap, bisect],
    ids=lambda module: module.__name__,
)
def test_real_code(module: ModuleType) -> None:
    source = inspect.getsource(module)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)][
        :5
    ]
    for function in functions:
        text = textwrap.dedent(ast.get_source_segment(source, function, padded=True) or "")
        check(text)


def check(source: str) -> None:
    """Nearly every edit parses, none is the source again, and each says truly what it replaces."""
    before = ast.dump(ast.parse(source))
    errors = 0
    every_edit = edits(source)
    assert every_edit
    for edit in every_edit[:: 1 + len(every_edit) // 150]:
        assert source[edit.span[0] : edit.span[1]] == edit.before
        assert source[: edit.span[0]].count("\n") + 1 == edit.line
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                after = ast.dump(ast.parse(apply_edits(source, [edit])))
            except SyntaxError:
                errors += 1
                continue
        assert after != before or edit.kind in ("expression copied", "other value returned"), edit
    assert errors <= 8


@given(st.text(max_size=80))
def test_any_text(source: str) -> None:
    edits(source)


def test_long_table() -> None:
    rows = [
        f"    'key{number}': ('a{number}', {number}, None, True, [f(x, y) for x in y]),"
        for number in range(600)
    ]
    source = "\n".join(["TABLE = {", *rows, "}"])
    started = time.perf_counter()
    assert {edit.line for edit in edits(source, 300)} == {300}
    assert time.perf_counter() - started < 5
