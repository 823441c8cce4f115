"""Drafts from type hints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.generate.draft import Draft
from pytest_starcoder.generate.targets import find_targets
from pytest_starcoder.generate.type_hints import judged_version, type_hint_drafts


def drafts_of(source: str) -> list[Draft]:
    return list(type_hint_drafts(find_targets(source, "shop.py", Path("/nowhere"))))


def test_draft() -> None:
    [draft] = drafts_of("def f(text: str, times: int = 2) -> str:\n    return text * times\n")
    assert draft.source == (
        "from hypothesis import given, seed, settings\n"
        "from hypothesis import strategies as st\n\n"
        "from shop import f\n\n\n"
        "@seed(1)\n"
        "@settings(database=None, deadline=None, max_examples=25)\n"
        "@given(text=st.text(), times=st.integers())\n"
        "def test_f_of_any_input(text, times):\n"
        "    assert isinstance(f(text=text, times=times), str)\n"
    )
    assert draft.because == "f(text: str, times: int) -> str"
    assert judged_version(draft).decorators[1:] == (
        draft.decorators[1].replace("25", "100"),
        draft.decorators[2],
    )


@pytest.mark.parametrize(
    ("annotation", "strategy"),
    [
        ("int", "st.integers()"),
        ("float", "st.floats(allow_nan=False, allow_infinity=False)"),
        ("bytes | None", "st.binary() | st.none()"),
        ("Optional[str]", "st.none() | st.text()"),
        ("list[int]", "st.lists(st.integers(), max_size=5)"),
        ("typing.Sequence[bool]", "st.lists(st.booleans(), max_size=5)"),
        (
            "dict[str, list[int]]",
            "st.dictionaries(st.text(), st.lists(st.integers(), max_size=5), max_size=5)",
        ),
        ("tuple[str, int]", "st.tuples(st.text(), st.integers())"),
        ("tuple[int, ...]", "st.lists(st.integers(), max_size=5).map(tuple)"),
        ("None", "st.none()"),
        ("set[str]", "st.sets(st.text(), max_size=5)"),
        ("'str'", "st.text()"),
    ],
)
def test_strategy(annotation: str, strategy: str) -> None:
    [draft] = drafts_of(f"def f(x: {annotation}) -> int:\n    return 1\n")
    assert draft.decorators[-1] == f"@given(x={strategy})"
    assert eval(strategy, {"st": st}) is not None


@pytest.mark.parametrize(
    ("returns", "claim"),
    [
        ("str", "assert isinstance(f(x=x), str)"),
        ("float", "assert isinstance(f(x=x), float | int)"),
        ("list[int] | None", "assert isinstance(f(x=x), list | None)"),
        ("None", "assert f(x=x) is None"),
    ],
)
def test_result(returns: str, claim: str) -> None:
    [draft] = drafts_of(f"def f(x: int) -> {returns}:\n    return 1\n")
    assert draft.body == (claim,)


def test_class_of_module() -> None:
    source = "from x import Money\n\ndef f(x: int) -> Money | None:\n    return 1\n"
    [draft] = type_hint_drafts(find_targets(source, "shop.py", Path("/nowhere")), {"f", "Money"})
    assert draft.body == ("assert isinstance(f(x=x), Money | None)",)
    assert draft.imports[-1] == "from shop import f, Money"


def test_documented_exception() -> None:
    [draft] = drafts_of(
        'def f(x: int) -> int:\n    """F.\n\n    :raises ValueError: if so\n    """\n    return x\n'
    )
    assert draft.body == (
        "with contextlib.suppress(ValueError):\n    assert isinstance(f(x=x), int)",
    )
    assert draft.imports[0] == "import contextlib"


@pytest.mark.parametrize(
    "source",
    [
        "def f(x) -> int:\n    return 1\n",
        "def f(x: int):\n    return 1\n",
        "def f(x: Decimal) -> int:\n    return 1\n",
        "def f(x: int) -> Decimal:\n    return 1\n",
        "def f(x: list[Decimal]) -> int:\n    return 1\n",
        "def f() -> int:\n    return 1\n",
        "def _f(x: int) -> int:\n    return 1\n",
        "async def f(x: int) -> int:\n    return 1\n",
        "class C:\n    def f(self, x: int) -> int:\n        return 1\n",
        "def f(x: 'int') -> 'list[':\n    return 1\n",
    ],
)
def test_missing_types(source: str) -> None:
    assert not drafts_of(source)


def test_no_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.generate.type_hints.find_spec", lambda _name: None)
    assert not drafts_of("def f(x: int) -> int:\n    return 1\n")


@given(st.text("intstrliodcu[], |.'", max_size=20))
def test_any_annotation(annotation: str) -> None:
    for draft in drafts_of(f"def f(x: {annotation!r}) -> int:\n    return 1\n"):
        ast.parse(draft.source)
