"""What type hints promise, as tests of Hypothesis."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.generate.draft import Draft
from pytest_starcoder.generate.targets import targets_of
from pytest_starcoder.generate.type_hints import smoke_of, thorough


def smoke(source: str) -> list[Draft]:
    return list(smoke_of(targets_of(source, "shop.py", Path("/nowhere"))))


def test_whatever_a_function_takes_it_gives_what_it_says() -> None:
    [draft] = smoke("def f(text: str, times: int = 2) -> str:\n    return text * times\n")
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
    assert thorough(draft).decorators[1:] == (
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
        ("set[str]", "st.sets(st.text(), max_size=5)"),
        ("'str'", "st.text()"),
    ],
)
def test_inputs_are_drawn_as_they_are_annotated(annotation: str, strategy: str) -> None:
    [draft] = smoke(f"def f(x: {annotation}) -> int:\n    return 1\n")
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
def test_what_it_gives_is_checked_as_it_is_annotated(returns: str, claim: str) -> None:
    [draft] = smoke(f"def f(x: int) -> {returns}:\n    return 1\n")
    assert draft.body == (claim,)


def test_a_class_that_the_module_knows_is_checked_too() -> None:
    source = "from x import Money\n\ndef f(x: int) -> Money | None:\n    return 1\n"
    [draft] = smoke_of(targets_of(source, "shop.py", Path("/nowhere")), {"f", "Money"})
    assert draft.body == ("assert isinstance(f(x=x), Money | None)",)
    assert draft.imports[-1] == "from shop import f, Money"


def test_exceptions_that_the_docstring_names_are_allowed() -> None:
    [draft] = smoke(
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
def test_where_types_do_not_say_enough_there_is_no_test(source: str) -> None:
    assert not smoke(source)


def test_without_hypothesis_there_is_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.generate.type_hints.find_spec", lambda _name: None)
    assert not smoke("def f(x: int) -> int:\n    return 1\n")


@given(st.text("intstrliodcu[], |.'", max_size=20))
def test_no_annotation_is_too_odd(annotation: str) -> None:
    for draft in smoke(f"def f(x: {annotation!r}) -> int:\n    return 1\n"):
        ast.parse(draft.source)


def test_hypothesis_is_imported_for_it_by_nobody_here() -> None:
    assert sys.modules.get("pytest_starcoder.runner.hypothesis_warmup") is None
