"""How two values differ, in sentences; and that no value does harm."""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import time
from collections import Counter, OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.equality import attributes

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Order:
    name: str
    amount: int
    note: str = dataclasses.field(default="", compare=False)


class Plain:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


class Slotted:
    __slots__ = ("a", "never")

    def __init__(self, a: int) -> None:
        self.a = a


class Bare:
    pass


Twin = type("Plain", (), {"__module__": "elsewhere"})


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        ([1, 2], [1, 2, 3], ["2 items instead of 3", "missing at the end: 3"]),
        ([1, 2, 3, 4], [1], ["4 items instead of 1", "too many at the end: [2, 3, 4]"]),
        ([1, 2, 3, 4], [1, 3, 4], ["4 items instead of 3", "too many at [1]: 2"]),
        ([1, 4], [1, 2, 3, 4], ["2 items instead of 4", "missing from [1] on: [2, 3]"]),
        ([9, 2], [1, 2, 3], ["2 items instead of 3", "[0] is 9, not 1"]),
        ([1, 5, 3], [1, 2, 3], ["[1] is 5, not 2"]),
        ((1, 5), (1, 2), ["[1] is 5, not 2"]),
        ([3, 1, 2], [1, 2, 3], ["the same items in a different order", "[0] is 3, not 1"]),
        ([[1], {}], [{}, [1]], ["the same items in a different order", "[0] is [1], not {}"]),
        ([1], (1,), ["the value is a list, not a tuple"]),
        ([0.1 + 0.2], [0.3], ["[0] is 0.30000000000000004, not 0.3"]),
        (
            ["x" * 50 + "a"],
            ["x" * 50 + "b"],
            ["[0] is '" + "x" * 50 + "a', not '" + "x" * 50 + "b'"],
        ),
        ({"a": 1}, {"b": 1}, ["the key 'b' is missing"]),
        ({"usr": 1}, {"user": 1}, ["the key 'user' is missing; there is 'usr'"]),
        ({1: "a"}, {"1": "a"}, ["the key '1' is missing; there is 1 as a number"]),
        ({"a": 1, "b": 2}, {"a": 1}, ["the key 'b' is unexpected"]),
        ({"a": 1, "b": 2, "c": 3}, {"a": 1}, ["the key 'b' and 1 more are unexpected"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["['a']['b'][1] is 2, not 3"]),
        ({"a": {"b": [1]}}, {"a": {"b": [1, 3]}}, ["at ['a']['b']: 1 item instead of 2"]),
        ({"a": None}, {"a": []}, ["['a'] is None, not []"]),
        (defaultdict(int, a=1), {"a": 2}, ["['a'] is 1, not 2"]),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), ["the same items in a different order"]),
        (Counter("aab"), {"a": 2, "b": 2}, ["['b'] is 1, not 2"]),
        ({1, 2}, {1, 3}, ["missing: {3}", "too many: {2}"]),
        (frozenset("a"), {"b"}, ["missing: {'b'}", "too many: {'a'}"]),
        ({1, 2}, [1, 2], ["the value is a set, not a list"]),
    ],
)
def test_containers(actual: object, expected: object, sentences: list[str]) -> None:
    assert list(differences("==", actual, expected))[: len(sentences)] == sentences


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        (Point(1, 2), Point(1, 3), [".y is 2, not 3"]),
        (Point(1, 2), (1, 3), ["[1] is 2, not 3"]),
        (Order("a", 1, "x"), Order("a", 2, "y"), [".amount is 1, not 2"]),
        ([Order("a", 1)], [Order("b", 1)], ["[0].name is 'a', not 'b'"]),
        (Plain(a=1), Plain(a=2), [".a is 1, not 2"]),
        (Plain(a=Plain(b=[1])), Plain(a=Plain(b=[2])), []),
        (Plain(a=[{"b": 1}]), Plain(a=[{"b": 2}]), [".a[0]['b'] is 1, not 2"]),
        (Plain(a=1), Plain(a=1), ["all fields are equal, but Plain defines no __eq__"]),
        (Slotted(1), Slotted(2), [".a is 1, not 2"]),
        (Slotted(1), Slotted(1), ["all fields are equal, but Slotted defines no __eq__"]),
        (Bare(), Bare(), ["both print alike, but Bare defines no __eq__"]),
        (ValueError("a"), ValueError("a"), ["both print alike, but ValueError defines no __eq__"]),
        (
            Plain(),
            Twin(),
            [
                "two different types are named Plain: "
                "one from test_differences and one from elsewhere"
            ],
        ),
        (Colour.RED, Colour.BLUE, []),
    ],
)
def test_objects(actual: object, expected: object, sentences: list[str]) -> None:
    result = "\n".join(differences("==", actual, expected)).replace("tests.explain.", "")
    assert result.splitlines()[: len(sentences)] == sentences


@pytest.mark.parametrize(
    ("op", "actual", "expected", "sentences"),
    [
        ("in", "usr", {"user": 1}, ("it has 1 item, the nearest is 'user'",)),
        ("in", "usr", {"user": 1}.keys(), ("it has 1 item, the nearest is 'user'",)),
        ("in", 3, ["3", "4"], ("it has 2 items, the nearest is the string '3'",)),
        ("in", 3, [], ("it has 0 items",)),
        ("in", 3, iter([1]), ("it can be iterated only once",)),
        ("in", "B", "abc", ("the text contains it in a different case, at index 1: 'b'",)),
        ("in", "a b", "xa  b", ("the text contains it with different whitespace",)),
        ("in", "abc", "a", ("the text has 1 character, fewer than the 3 that are searched for",)),
        ("in", "total: 4", "the total: 5 EUR", ("the nearest is 'total: 5', at index 4",)),
        ("in", "xyz", "abc def", ()),
        ("is", [1], [1], ("they are equal, but not the same object",)),
        ("is", 1, True, ("they are equal, but not the same object",)),
        ("is", [1], [2], ()),
        ("not in", 1, [1], ()),
        ("!=", 1, 1, ()),
        ("<", 1, 0, ()),
        ("<", 1, 1, ("they are equal",)),
    ],
)
def test_other_operators(
    op: str, actual: object, expected: object, sentences: tuple[str, ...]
) -> None:
    assert differences(op, actual, expected) == sentences


def test_item_that_prints_alike() -> None:
    assert (
        differences("in", Bare(), [Bare()])[1]
        == "one of them prints alike, but Bare defines no __eq__"
    )


# --- values that would do harm -----------------------------------------------------------------


def harm(*_: object, **__: object) -> Any:
    pytest.skip("not even this does harm")


HARMS = ("__repr__", "__len__", "__iter__", "__bool__", "__contains__", "__getitem__")


class Hostile:
    __eq__ = __str__ = __getattr__ = harm
    __hash__ = None  # type: ignore[assignment]


class Key:
    __eq__ = harm

    def __hash__(self) -> int:
        return 1


class Endless:
    def __iter__(self) -> Any:
        while True:
            yield 1


class Lazy:
    lookups: list[str] = []  # noqa: RUF012

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        self.lookups.append("class")
        return str

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        self.lookups.append("dict")
        return {}


class Arrays:
    """Compares like an array, item by item."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return [True, False]


def subclass(base: type, value: object) -> object:
    """An object of a subclass of which every method that Python itself calls raises."""
    return type("Sub", (base,), dict.fromkeys(HARMS, harm))(value)


def nested(depth: int, leaf: object) -> object:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def doubled(depth: int) -> object:
    """A list of two to the power of `depth` items, of which few exist."""
    value: object = 1
    for _ in range(depth):
        value = [value, value]
    return value


def endless() -> Any:
    while True:
        yield 1


for name in HARMS:
    setattr(Hostile, name, harm)
recursive_list: list[object] = [1]
recursive_list.append(recursive_list)
second_recursive_list: list[object] = [1]
second_recursive_list.append(second_recursive_list)

STRANGE = {
    "hostile": Hostile(),
    "list of hostile": [Hostile(), 2],
    "dict of hostile": {"a": Hostile(), "b": 2},
    "key": {Key(): 1},
    "set of keys": {Key()},
    "endless": Endless(),
    "endless generator": endless(),
    "endless map": map(str, endless()),
    "lazy": Lazy(),
    "arrays": [Arrays(), 1],
    "recursive_list": recursive_list,
    "other itself": second_recursive_list,
    "deep": nested(50_000, 1),
    "deep too": nested(50_000, 2),
    "doubled": doubled(60),
    "doubled too": doubled(60),
    "long": "x" * 5_000_000 + "a",
    "long too": "x" * 5_000_000 + "b",
    "bytes": b"x" * 5_000_000,
    "large": list(range(1_000_000)),
    "large too": [*range(999_999), 0],
    "huge": 10**6000,
    "surrogate": "\ud800",
    "escape": "\x1b[31mred\u202e\n\r",
    "infinite": math.inf,
    "none": None,
    "list": subclass(list, [1]),
    "dict": subclass(dict, {"a": 1}),
    "str": subclass(str, "a"),
    "int": subclass(int, 3),
    "set": subclass(set, [1]),
    "empty": {},
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_values(name: str) -> None:
    began = time.monotonic()
    for value in STRANGE.values():
        for op in ("==", "in", "is", "<", "not in"):
            for sentences in (
                differences(op, STRANGE[name], value),
                differences(op, value, STRANGE[name]),
            ):
                assert len(sentences) <= 3
                assert all(len(sentence) <= 200 for sentence in sentences)
                assert "".join(sentences).isprintable()
    assert time.monotonic() - began < 60  # a hang is meant, not a slow machine


def test_lazy_object() -> None:
    lazy = Lazy()
    Lazy.lookups.clear()
    differences("==", lazy, Lazy())
    differences("==", [lazy], ["x"])
    assert attributes(lazy) == {}
    assert Lazy.lookups == []


def test_sentences_before_harm() -> None:
    assert differences("==", {"a": 1, Key(): 1}, {"a": 1, Key(): 2}) == ()
    assert differences("==", [1, Hostile()], [2, Hostile()]) == ("[0] is 1, not 2",)
    assert differences("==", [Hostile(), 1], [Hostile(), 2]) == ("[1] is 1, not 2",)


def test_interrupted_repr() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        differences("==", [Interrupted()], [])


def test_recursive_structure() -> None:
    actual: list[object] = [1]
    expected: list[object] = [2]
    actual.append(actual)
    expected.append(expected)
    assert differences("==", actual, expected)[0] == "[0] is 1, not 2"


def test_no_value_is_changed() -> None:
    actual, expected = defaultdict(list, a=[3, 1, 2]), {"a": [1, 2, 3], "b": {1}}
    before = copy.deepcopy((actual, expected))
    differences("==", actual, expected)
    assert (actual, expected) == before


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=9),
        st.binary(max_size=9),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[object, object]:
    """A value, and the same with another value at one place."""
    actual = draw(values)
    expected: Any = copy.deepcopy(actual)
    place = expected
    while isinstance(place, list | dict) and place:
        at = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[at], list | dict) or draw(st.booleans()):
            place[at] = draw(values)
            return actual, expected
        place = place[at]
    return actual, draw(values)


@given(st.one_of(st.tuples(values, values), mutated()), st.sampled_from(["==", "in", "is"]))
def test_any_values(pair: tuple[object, object], op: str) -> None:
    sentences = differences(op, *pair)
    assert len(sentences) <= 3
    assert all(0 < len(sentence) <= 200 and "\n" not in sentence for sentence in sentences)


@given(mutated())
def test_difference_iff_unequal(
    pair: tuple[object, object],
) -> None:
    actual, expected = pair
    assert bool(differences("==", actual, expected)) == (actual != expected)
    assert differences("==", actual, copy.deepcopy(actual)) == ()


LONG = 300_000


def changed(items: list[Any], index: int, item: object) -> list[Any]:
    return [*items[:index], item, *items[index + 1 :]]


@pytest.mark.parametrize(
    ("actual", "item", "sentence"),
    [
        (list(range(LONG)), -1, "[200000] is 200000, not -1"),
        ([{"n": str(n)} for n in range(LONG)], {"n": "x"}, "[200000]['n'] is '200000', not 'x'"),
    ],
    ids=["numbers", "dicts"],
)
def test_long_lists(actual: list[Any], item: object, sentence: str) -> None:
    start = time.perf_counter()
    found = differences("==", actual, changed(actual, 200_000, item))
    assert found[0] == sentence
    assert time.perf_counter() - start < 5


def test_long_lists_of_different_lengths() -> None:
    actual = list(range(LONG))
    assert differences("==", actual[:200_000] + actual[200_001:], actual) == (
        "299999 items instead of 300000",
        "missing at [200000]: 200000",
    )


def test_long_dict() -> None:
    actual = {n: str(n) for n in range(LONG)}
    assert differences("==", actual, actual | {200_000: "x"})[0] == "[200000] is '200000', not 'x'"


def test_sets_of_objects() -> None:
    Item = dataclasses.make_dataclass("Item", ["name", "number"], frozen=True)
    actual, expected = {Item("a", 1), Item("b", 2)}, {Item("a", 1), Item("b", 3)}
    assert differences("==", actual, expected)[2] == "of these two, .number is 2, not 3"


def test_private_fields_without_eq() -> None:
    sentence = "all public fields are equal, but Plain defines no __eq__"
    assert differences("==", Plain(a=1, _cache=[1]), Plain(a=1, _cache=[2])) == (sentence,)


def test_snapshot() -> None:
    # An object of the shape that syrupy makes.
    snapshot = type("SnapshotAssertion", (Plain,), {"__module__": "syrupy.assertion"})()
    snapshot._execution_results = {0: Plain(asserted_data="a\nb", recalled_data="a\nc")}
    assert differences("==", {}, snapshot) == ("they differ from line 2 on: 'b' instead of 'c'",)
