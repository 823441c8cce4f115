"""How two values differ, in sentences; and that no value does harm."""

from __future__ import annotations

import dataclasses
import math
from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.evidence.differences import differences

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Order:
    name: str
    amount: int


class Plain:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("left", "right", "first"),
    [
        ("apple", "apply", "they differ from index 4 on: 'apple' instead of 'apply'"),
        ("Apple", "apple", "they differ in case alone"),
        ("a b\n", "a  b", "they differ in white space alone"),
        ("abc", "abcdef", "the value has 3 characters less: 'def'"),
        ("abcdef", "abc", "the value has 3 characters more: 'def'"),
        (b"ab", b"ac", "they differ from byte 1 on; 2 bytes instead of 2"),
        (3, 2, "the value is too large by 1"),
        (1, 4, "the value is too small by 3"),
        (-5, 5, "the value has the opposite sign"),
        (0.1 + 0.2, 0.3, "they differ by 5.6e-17, which is rounding: compare with pytest.approx"),
        (math.nan, 1.0, "NaN equals nothing, itself neither"),
        ([1, 2], [1, 2, 3], "2 items instead of 3"),
        ([1, 5, 3], [1, 2, 3], "[1] is 5, not 2"),
        ({"a": 1}, {"b": 1}, "the key 'b' is missing"),
        ({"usr": 1}, {"user": 1}, "the key 'user' is missing; there is 'usr'"),
        ({"a": 1, "b": 2}, {"a": 1}, "the key 'b' is too many"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "['a'] is {'b': [1, 2]}, not {'b': [1, 3]}"),
        ({1, 2}, {1, 3}, "missing: {3}"),
        (None, 3, "the value is None: nothing was returned?"),
        ("3", 3, "the value is a text, not a number"),
        ([1], (1,), "the value is a list, not a tuple"),
        (len, 3, "the value is the function itself: was it called?"),
        ((n for n in (1, 2)), [1, 2], "the value is a generator: its items were not taken"),
        (Point(1, 2), Point(1, 3), ".y is 2, not 3"),
        (Order("a", 1), Order("a", 2), ".amount is 1, not 2"),
        (Plain(a=1), Plain(a=2), ".a is 1, not 2"),
        (Plain(a=1), Plain(a=1), "all fields are equal, but Plain defines no __eq__"),
    ],
)
def test_the_most_telling_difference_comes_first(left: object, right: object, first: str) -> None:
    assert differences("==", left, right)[0] == first


def test_a_path_leads_to_what_differs_inside() -> None:
    told = differences("==", {"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}})
    assert told[1] == "['a']['b'] is [1, 2], not [1, 3]"


def test_a_coroutine_asks_whether_it_was_awaited() -> None:
    found = coroutine()
    assert differences("==", found, 3)[0] == "the value is a coroutine: was it awaited?"
    found.close()


def test_the_same_items_in_another_order() -> None:
    assert "the same items in another order" in differences("==", [1, 2, 3], [3, 1, 2])


@pytest.mark.parametrize(
    ("op", "left", "right", "told"),
    [
        ("in", "usr", {"user": 1}, ("it has 1 item, the nearest is 'user'",)),
        ("in", "B", "abc", ("the text has it in another case, at index 1: 'b'",)),
        ("is", [1], [1], ("they are equal, but not the same object",)),
        ("not in", 1, [1], ()),
        ("<", 1, 0, ()),
    ],
)
def test_other_comparisons(op: str, left: object, right: object, told: tuple[str, ...]) -> None:
    assert differences(op, left, right) == told


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise ValueError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        pytest.skip("not even this does harm")

    def __iter__(self) -> None:
        raise AssertionError("nobody iterates over somebody's object")

    __len__ = __getattr__ = __iter__  # type: ignore[assignment]


@pytest.mark.parametrize("op", ["==", "in", "is", "<"])
def test_hostile_values_do_no_harm(op: str) -> None:
    for left, right in ((Hostile(), Hostile()), (Hostile(), 1), ([Hostile()], [1]), ({1: Hostile()}, {1: 2})):
        assert isinstance(differences(op, left, right), tuple)


def test_large_texts_are_compared_quickly() -> None:
    assert differences("==", "x" * 5_000_000 + "a", "x" * 5_000_000 + "b")[0].startswith(
        "they differ from index 5000000 on"
    )


def test_a_structure_that_contains_itself_is_told_to_a_depth() -> None:
    left: list[object] = [1]
    right: list[object] = [2]
    left.append(left)
    right.append(right)
    assert differences("==", left, right)[0] == "[0] is 1, not 2"


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9), st.binary(max_size=9)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=12,
)


@given(values, values)
def test_any_two_values_give_short_sentences_and_equal_ones_none(left: object, right: object) -> None:
    told = differences("==", left, right)
    assert all(len(sentence) <= 200 and "\n" not in sentence for sentence in told)
    assert len(told) <= 3
    assert differences("==", left, left) == ()
