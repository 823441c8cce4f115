"""Targets of a file, and the drafts that docstrings and siblings give, before anything is run."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.generate.docstrings import examples_of, exceptions_of
from pytest_starcoder.generate.draft import Target
from pytest_starcoder.generate.mutants import branches_of, lines_of, mutants_of
from pytest_starcoder.generate.siblings import properties_of
from pytest_starcoder.generate.targets import module_name, targets_of

SOURCE = dedent(
    '''
    import functools

    LIMIT = 3


    def mean(xs: list[int], *, low=0) -> float:
        """The mean."""
        if not xs:
            return low
        return sum(xs) / len(xs)


    def _private():
        pass


    class Cart:
        @property
        def total(self):
            return 1

        def add(self, item, times=2):
            def inner():
                return item
            return inner() * times

        def _hidden(self):
            pass
        def __len__(self): return 1


    async def load(name="x"):
        return name
    '''
).lstrip()


def targets(source: str = SOURCE) -> list[Target]:
    return targets_of(source, "shop.py", Path("/nowhere"))


def test_the_definitions_of_a_file_and_what_is_in_none_are_its_targets() -> None:
    found = [
        (
            target.name,
            str(target.kind),
            target.first,
            target.last,
            target.parameters,
            target.defaults,
        )
        for target in targets()
    ]
    assert found == [
        ("mean", "function", 6, 10, (("xs", "list[int]"), ("low", "")), (("low", 0),)),
        ("_private", "private function", 13, 14, (), ()),
        ("Cart", "class", 17, 29, (), ()),
        ("Cart.total", "function", 18, 20, (), ()),
        ("Cart.add", "function", 22, 25, (("item", ""), ("times", "")), (("times", 2),)),
        ("Cart._hidden", "private function", 27, 28, (), ()),
        ("Cart.__len__", "function", 29, 29, (), ()),
        ("load", "function", 32, 33, (("name", ""),), (("name", "x"),)),
        ("", "module", 1, 34, (), ()),
    ]
    assert [target.name for target in targets() if target.awaits] == ["load"]
    assert targets()[0].returns == "float"


def test_what_does_not_parse_has_no_targets() -> None:
    assert not targets("def f(:")


def test_a_module_is_named_as_tests_import_it(tmp_path: Path) -> None:
    for folder in ("src/shop/deep", "flat"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("src/shop", "src/shop/deep"):
        (tmp_path / package / "__init__.py").touch()
    names = {
        "src/shop/pricing.py": "shop.pricing",
        "src/shop/deep/__init__.py": "shop.deep",
        "src/shop/deep/a.py": "shop.deep.a",
        "flat/b.py": "flat.b",
        "src/d.py": "d",
        "c.py": "c",
    }
    assert {path: module_name(path, tmp_path) for path in names} == names


# --- examples -------------------------------------------------------------------------------


def bodies(docstring: str) -> list[tuple[str, ...]]:
    target = Target("shop.py", "shop", "mean", 1, 2, (("xs", ""),), docstring)
    return [draft.body for draft in examples_of(target, ["mean", "Cart"])]


@pytest.mark.parametrize(
    ("example", "body"),
    [
        (">>> mean([1])\n1.0", ("assert mean([1]) == 1.0",)),
        (">>> mean([])\nNone", ("assert mean([]) is None",)),
        (">>> mean([1]) > 0\nTrue", ("assert (mean([1]) > 0) is True",)),
        (">>> mean([1])\nMean(1)", ("assert repr(mean([1])) == 'Mean(1)'",)),
        (">>> print(mean([1]))\n1.0", ("assert str(mean([1])) == '1.0'",)),
        (">>> mean([1])  # returns 1.0", ("assert mean([1]) == 1.0",)),
        (">>> mean([1]) # -> true", ("assert mean([1]) is True",)),
        (">>> xs = [1]\n>>> mean(xs)\n1.0", ("xs = [1]", "assert mean(xs) == 1.0")),
        (
            ">>> mean([])\nTraceback (most recent call last):\n...\nValueError: no (values)",
            ("with pytest.raises(ValueError, match='no\\\\ \\\\(values\\\\)'):\n    mean([])",),
        ),
    ],
)
def test_an_example_becomes_an_assertion(example: str, body: tuple[str, ...]) -> None:
    assert bodies(f"What it does.\n\n{example}\n") == [body]


@pytest.mark.parametrize(
    "example",
    [
        ">>> mean([1])\n1\n2",
        ">>> mean([1])",
        ">>> mean([1])  # doctest: +SKIP\n1",
        ">>> mean(\n1",
        "no example",
        ">>>bad",
    ],
)
def test_what_promises_nothing_is_no_test(example: str) -> None:
    assert bodies(example) == []


@given(st.text())
def test_no_docstring_is_too_odd(docstring: str) -> None:
    for body in bodies(docstring):
        assert body


def test_a_draft_imports_what_it_uses_and_no_more() -> None:
    target = Target(
        "shop.py", "shop", "mean", 1, 2, ("xs",), ">>> import math\n>>> mean([math.pi, Cart])\n3\n"
    )
    [draft] = examples_of(target, ["mean", "Cart", "other"])
    assert draft.imports == ("from shop import Cart, mean",)
    function = (
        "def test_mean_example_1():\n    import math\n    assert mean([math.pi, Cart]) == 3\n"
    )
    assert draft.source == f"from shop import Cart, mean\n\n\n{function}"


@pytest.mark.parametrize(
    ("docstring", "names"),
    [
        (
            "Mean.\n\nRaises:\n    ValueError: if it is empty.\n    TypeError: otherwise.\n",
            ["ValueError", "TypeError"],
        ),
        ("Mean.\n\nRaises\n------\nValueError\n    If it is empty.\n", ["ValueError"]),
        ("Mean.\n\n:raises KeyError: never\n:raise OSError:\n", ["KeyError", "OSError"]),
        ("Raises the roof. ValueError: no.", []),
        ("Raises:\n    Unknown: not built in.\n    int: no exception.\n", []),
        ("", []),
    ],
)
def test_the_exceptions_that_a_docstring_names_are_found(docstring: str, names: list[str]) -> None:
    assert exceptions_of(Target("shop.py", "shop", "mean", 1, 2, (("xs", ""),), docstring)) == names


# --- properties -----------------------------------------------------------------------------


def test_properties_are_said_of_the_inputs_that_docstrings_show() -> None:
    one = Target("s.py", "s", "up", 1, 2, (("text", ""),), ">>> up('a')\n'A'\n>>> up('b')\n'B'\n")
    two = Target(
        "s.py", "s", "down", 3, 4, (("text", ""),), ">>> down('C')\n'c'\n>>> down('D')\n'd'\n"
    )
    examples = [draft for target in (one, two) for draft in examples_of(target, ["up", "down"])]
    found = {draft.name: draft.body[0] for draft in properties_of([one, two], examples)}
    assert (
        found["test_up_back_by_down"]
        == "for value in ['a', 'b']:\n    assert down(up(value)) == value"
    )
    assert "assert up(up(value)) == up(value)" in found["test_up_twice"]
    assert "'C'" in found["test_up_twice"]


def test_without_examples_there_are_no_properties() -> None:
    assert not list(properties_of(targets(), []))


# --- mutants --------------------------------------------------------------------------------


def test_mutants_change_bodies_alone_and_each_place_in_one_way_of_a_kind() -> None:
    found = mutants_of(SOURCE, targets())
    assert not any(edits for target, edits in found.items() if target.name in ("", "Cart"))
    mean = next(own for target, own in found.items() if target.name == "mean")
    assert mean
    assert all(8 <= edit.line <= 10 for edit in mean)
    assert len({(edit.kind, edit.span) for edit in mean}) == len(mean)


def test_the_lines_of_a_target_are_those_on_which_its_statements_begin() -> None:
    assert lines_of(SOURCE, targets()[0]) == {8, 9, 10}


def test_the_lines_of_a_module_are_those_in_no_definition() -> None:
    assert lines_of(SOURCE, targets()[-1]) == {1, 3}


def test_a_branch_has_two_ways_out_of_its_head() -> None:
    source = (
        "def f(x):\n    if (x and\n            x > 1):\n        return 1\n    while True:\n        x += 1\n"
        "    for y in x:\n        pass\n    if x: return 2\n"
    )
    [target, _] = targets(source)
    assert branches_of(source, target) == {
        (2, True): (range(2, 4), 4),
        (2, False): (range(2, 4), 4),
        (7, True): (range(7, 8), 8),
        (7, False): (range(7, 8), 8),
    }
