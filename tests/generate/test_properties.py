"""Relations of one function, and of two."""

from __future__ import annotations

import pytest
from support.shop import targets_in

from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Draft
from pytest_starcoder.generate.properties import input_values, property_drafts, with_values

CASES = """def up(text, end="."):
    '''
    >>> up('a')
    'A'
    >>> up('b')
    'B'
    '''


def down(text):
    '''
    >>> down('C')
    'c'
    '''


def double(number):
    '''
    >>> double(4)
    8
    '''
"""


@pytest.fixture(scope="module")
def drafts() -> dict[str, Draft]:
    targets = targets_in(CASES)
    examples: list[Draft] = []
    for target in targets:
        examples += doctest_drafts(target, ["up", "down", "double"])
    return {draft.name: draft for draft in property_drafts(targets, examples)}


def test_round_trip(drafts: dict[str, Draft]) -> None:
    draft = drafts["test_up_back_by_down"]
    assert draft.body == ("for value in ['a', 'b']:\n    assert down(up(value)) == value",)
    assert draft.imports == ("from shop import down, up",)


def test_relation(drafts: dict[str, Draft]) -> None:
    draft = drafts["test_up_twice"]
    assert draft.body[0].endswith("assert up(up(value)) == up(value)")
    assert draft.imports == ("from shop import up",)


def test_default(drafts: dict[str, Draft]) -> None:
    claim = """up(value, end="~") == up(value).replace('.', "~")"""
    assert drafts["test_up_with_another_end"].because == claim


def test_inputs(drafts: dict[str, Draft]) -> None:
    texts = input_values(drafts["test_up_twice"])
    assert texts == ["'a'", "'b'", "'C'", "''", "'A'", "'B'", "'a é--1'", "' '"]
    numbers = input_values(drafts["test_double_of_the_negative"])
    assert numbers == ["4", "0", "11", "12", "13", "100", "111", "-1"]


def test_one_input_makes_no_pair(drafts: dict[str, Draft]) -> None:
    assert "test_down_back_by_up" not in drafts


@pytest.mark.parametrize(
    ("values", "body"),
    [
        (["1"], ("value = 1", "assert up(up(value)) == up(value)")),
        (["1", "2"], ("for value in [1, 2]:\n    assert up(up(value)) == up(value)",)),
    ],
)
def test_other_values(drafts: dict[str, Draft], values: list[str], body: tuple[str, ...]) -> None:
    assert with_values(drafts["test_up_twice"], values).body == body


def test_no_examples() -> None:
    assert not list(property_drafts(targets_in(CASES), []))
