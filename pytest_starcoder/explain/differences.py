"""Describes how the two sides of a failed comparison differ, in short sentences.

The only user code that runs is `__repr__`, and `==` and `hash` of values in builtin containers.
Only builtin containers are iterated over, and the number of comparisons is bounded.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

from pytest_starcoder.explain.codes import compare_members
from pytest_starcoder.explain.equality import (
    MAX_COMPARED,
    MAX_DEPTH,
    Comparer,
    Pair,
    are_known_equal,
    attributes,
    compares_identity,
    contains,
    is_number,
    is_trusted,
    plain,
)
from pytest_starcoder.explain.mock_calls import as_call, compare_calls, is_call
from pytest_starcoder.explain.number_differences import NAN, compare_dates, compare_numbers
from pytest_starcoder.explain.similar_names import nearest_key
from pytest_starcoder.explain.table_differences import as_lists, compare_tables
from pytest_starcoder.explain.text_differences import compare_bytes, compare_texts, missing_text
from pytest_starcoder.explain.type_differences import ITERATOR_TYPES, compare_types
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.display import counted, printable
from pytest_starcoder.text.reprs import short_repr
from pytest_starcoder.text.tables import table_kind

MAX_SENTENCES = 3
"""Maximum number of sentences on one comparison."""

MAX_LENGTH = 200
"""Maximum length of a sentence."""

EXPECTATION_PACKAGES = {"syrupy", "inline_snapshot", "snapshottest", "dirty_equals"}
"""Packages whose objects only tests compare with."""

DICT_VIEWS = {type({}.keys()), type({}.values()), type({}.items())}
"""The types of views, which `types` does not name."""

MAX_FIELDS = 50
"""Maximum number of slots, and of other attributes, that are compared."""


def differences(op: str, actual: object, expected: object) -> tuple[str, ...]:
    """Return at most three sentences on a failed comparison, the most specific one first.

    Never raises.
    """
    sentences: dict[str, None] = {}
    try:
        for sentence in _compare(op, actual, expected):
            sentences[_shorten(sentence)] = None
            if len(sentences) == MAX_SENTENCES:
                break
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - user code in `==` or a repr may raise anything
        return tuple(sentences)
    return tuple(sentences)


def _shorten(sentence: str) -> str:
    """Return a sentence on one line, cut to `MAX_LENGTH`."""
    # Runs of spaces stay: they may be the difference.
    line = printable(sentence).replace("\n", " ")
    if len(line) <= MAX_LENGTH:
        return line
    return line[: MAX_LENGTH - 1].rstrip() + "…"


def _compare(op: str, actual: object, expected: object) -> Iterator[str]:
    if op == "in":
        yield from _missing_item(actual, expected)
    elif op == "is":
        if actual is not expected and Comparer().equal(actual, expected):
            yield "they are equal, but not the same object"
    elif op in ("<", ">"):
        if Comparer().equal(actual, expected):
            yield "they are equal"
    elif op == "==":
        yield from _compare_equality(actual, expected)


def _compare_equality(actual: object, expected: object) -> Iterator[str]:
    texts = _snapshot_texts(expected)
    if texts is not None:
        actual, expected = texts
    tolerance = None
    if _is_approx(expected):
        approx = attributes(expected)
        # pytest.approx stores None for its defaults.
        relative = approx.get("rel") or 1e-6
        absolute = approx.get("abs") or 1e-12
        tolerance = relative, absolute
        expected = approx.get("expected")
        actual, expected = as_lists(actual), as_lists(expected)
    are_floats = is_instance(actual, float) and is_instance(expected, float)
    # NaN is the only value that is not equal to itself.
    if are_floats and actual != actual:
        yield NAN
    elif not are_known_equal(actual, expected, tolerance):
        yield from compare_types(actual, expected)
        yield from _compare_pair(Pair(Comparer(tolerance), actual, expected))
    # The `==` of ordered dicts depends on the order; `Comparer` compares them as plain dicts.
    elif type(actual) is type(expected) is OrderedDict and list(actual) != list(expected):
        yield "the same items in a different order"


def _is_approx(value: object) -> bool:
    """Return whether a value was made by `pytest.approx`."""
    kind = type(value)
    return kind.__name__.startswith("Approx") and kind.__module__.startswith("_pytest.")


def is_expectation(value: object) -> bool:
    """Return whether only tests compare with a value, such as a snapshot."""
    packages = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    return _is_approx(value) or bool(packages & EXPECTATION_PACKAGES)


def _snapshot_texts(snapshot: object) -> tuple[str, str] | None:
    """Return the actual and the stored text of a syrupy snapshot; None for anything else."""
    results = attributes(snapshot).get("_execution_results")
    if not type(snapshot).__module__.startswith("syrupy.") or not results:
        return None
    last = attributes(list(results.values())[-1])
    actual, expected = last.get("asserted_data"), last.get("recalled_data")
    if type(actual) is type(expected) is str:
        return actual, expected
    return None


def _compare_pair(pair: Pair) -> Iterator[str]:
    """Yield where and how two values of similar types differ."""
    if pair.depth > MAX_DEPTH:
        return
    if table_kind(pair.actual) or table_kind(pair.expected):
        yield from compare_tables(pair)
        return
    if is_call(pair.actual) and is_call(pair.expected):
        calls = as_call(pair.actual), as_call(pair.expected)
        pair = dataclasses.replace(pair, actual=calls[0], expected=calls[1])
        yield from compare_calls(pair, _compare_item)
        return
    if type(pair.actual) is type(pair.expected):
        fields = _fields(pair.actual)
        if fields:
            yield from _compare_objects(pair, fields)
            return
    if is_instance(pair.actual, enum.Enum) or is_instance(pair.expected, enum.Enum):
        yield from compare_members(pair)
        return
    # Instances of subclasses of builtin types are compared by their contents.
    actual = plain(pair.actual)
    expected = plain(pair.expected)
    pair = dataclasses.replace(pair, actual=actual, expected=expected)
    if is_number(actual) and is_number(expected):
        yield from compare_numbers(pair)
    elif is_instance(actual, date, timedelta) and is_instance(expected, date, timedelta):
        yield from compare_dates(pair)
    else:
        yield from _compare_contents(pair)


def _compare_contents(pair: Pair) -> Iterator[str]:
    """Yield where and how two texts, containers or other objects differ."""
    kinds = {type(pair.actual), type(pair.expected)}
    if kinds == {str}:
        yield from compare_texts(pair)
    elif kinds == {bytes}:
        yield from compare_bytes(pair)
    elif kinds <= {list, tuple}:
        yield from _compare_sequences(pair, list(pair.actual), list(pair.expected))
    elif kinds == {dict}:
        yield from _compare_dicts(pair)
    elif kinds <= {set, frozenset}:
        yield from _compare_sets(pair)
    elif len(kinds) == 1:
        yield from _compare_identities(pair)


def _compare_identities(pair: Pair) -> Iterator[str]:
    """Yield a sentence on two objects that look equal but are compared by identity."""
    if not compares_identity(pair.actual):
        return
    if short_repr(pair.actual) == short_repr(pair.expected):
        kind = type(pair.actual).__name__
        yield f"{pair.at}both print alike, but {kind} defines no __eq__"


def _compare_item(pair: Pair) -> Iterator[str]:
    """Yield how two items of containers differ, the deepest known difference last."""
    sentences = list(islice(_compare_pair(pair), MAX_SENTENCES))
    is_scalar = type(plain(pair.actual)) in (str, bytes, int, float)
    # Short values are shown in full; of containers, the differences inside are enough.
    if is_scalar or not sentences:
        actual = short_repr(pair.actual)
        expected = short_repr(pair.expected)
        yield f"{pair.place} is {actual}, not {expected}"
    yield from sentences


def _compare_sequences(pair: Pair, actual: list[Any], expected: list[Any]) -> Iterator[str]:
    common = min(len(actual), len(expected))
    index = pair.comparer.first_difference(actual, expected)
    if len(actual) != len(expected):
        items = counted(len(actual), "item")
        yield f"{pair.at}{items} instead of {len(expected)}"
        surplus = _surplus(pair, actual, expected, index)
        if surplus:
            yield pair.at + surplus
            return
    elif index < common and _is_reordered(pair.comparer, actual, expected):
        yield f"{pair.at}the same items in a different order"
    if index < common:
        item = pair.item(f"[{index}]", actual[index], expected[index])
        yield from _compare_item(item)


def _surplus(pair: Pair, actual: list[Any], expected: list[Any], index: int) -> str:
    """Return the items that only the longer list has; empty if the lists differ otherwise.

    `index` is the index of the first difference.
    """
    amount = "too many" if len(actual) > len(expected) else "missing"
    shorter, longer = sorted((actual, expected), key=len)
    number = len(longer) - len(shorter)
    end = index + number
    surplus: Any = longer[index:end]
    if index == len(shorter):
        where = "at the end"
    elif not pair.comparer.equal(longer[end:], shorter[index:]):
        return ""
    elif number == 1:
        where = f"at [{index}]"
    else:
        where = f"from [{index}] on"
    if number == 1:
        [surplus] = surplus
    return f"{amount} {where}: {short_repr(surplus)}"


def _is_reordered(comparer: Comparer, actual: list[Any], expected: list[Any]) -> bool:
    kinds = set(map(type, [*actual, *expected]))
    # Counting takes linear time, but the items must be hashable without running user code.
    if kinds <= {str, int, bytes}:
        return Counter[Hashable](actual) == Counter[Hashable](expected)
    if len(actual) > 100:  # comparing every pair takes quadratic time
        return False
    remaining = list(expected)
    for item in actual:
        for index, candidate in enumerate(remaining):
            if comparer.equal(item, candidate):
                del remaining[index]
                break
        else:
            return False
    return True


def _compare_dicts(pair: Pair) -> Iterator[str]:
    yield from _compare_keys(pair)
    for key, value in pair.actual.items():
        if not contains(pair.expected, key):
            continue
        expected_value = pair.expected[key]
        if pair.differs(value, expected_value):
            item = pair.item(f"[{short_repr(key)}]", value, expected_value)
            yield from _compare_item(item)
            return


def _compare_keys(pair: Pair) -> Iterator[str]:
    actual, expected = pair.actual, pair.expected
    missing = [key for key in expected if not contains(actual, key)]
    extra = [key for key in actual if not contains(expected, key)]
    for key in missing[:2]:
        # A renamed key is missing on one side and unexpected on the other.
        near = nearest_key(key, extra or actual)
        hint = f"; there is {near}" if near else ""
        yield f"{pair.at}the key {short_repr(key)} is missing{hint}"
    if extra and not missing:
        yield pair.at + _unexpected_keys(extra)


def _unexpected_keys(keys: list[Any]) -> str:
    first = short_repr(keys[0])
    if len(keys) == 1:
        return f"the key {first} is unexpected"
    return f"the key {first} and {len(keys) - 1} more are unexpected"


def _compare_sets(pair: Pair) -> Iterator[str]:
    missing = set(pair.expected - pair.actual)
    extra = set(pair.actual - pair.expected)
    if missing:
        yield f"{pair.at}missing: {short_repr(missing)}"
    if extra:
        yield f"{pair.at}too many: {short_repr(extra)}"
    if len(missing) == len(extra) == 1:
        yield from _compare_only_members(pair, extra.pop(), missing.pop())


def _compare_only_members(pair: Pair, actual: Any, expected: Any) -> Iterator[str]:
    """Yield the field in which the only two differing objects of two sets differ."""
    if type(actual) is type(expected) and _fields(actual):
        for sentence in _compare_pair(Pair(pair.comparer, actual, expected)):
            yield f"of these two, {sentence}"


def _compare_objects(pair: Pair, fields: list[str]) -> Iterator[str]:
    """Yield the first field in which two objects of a class differ."""
    public = [name for name in fields if not name.startswith("_")]
    by_identity = compares_identity(pair.actual)
    # Without `__eq__`, private fields explain nothing: they are often caches.
    for name in public if by_identity else fields:
        actual = _field(pair.actual, name)
        expected = _field(pair.expected, name)
        if pair.differs(actual, expected):
            yield from _compare_item(pair.item(f".{name}", actual, expected))
            return
    if by_identity:
        kind = type(pair.actual).__name__
        which = "all fields" if len(public) == len(fields) else "all public fields"
        yield f"{pair.at}{which} are equal, but {kind} defines no __eq__"


def _fields(value: Any) -> list[str]:
    """Return the names of the fields by which an object is compared, as far as is known.

    Builtin values, enum members and exceptions have none.
    """
    kind = type(value)
    # Their attributes are not what `==` compares.
    if is_instance(value, enum.Enum, type, types.ModuleType, types.FunctionType, BaseException):
        return []
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.compare]
    if is_instance(value, tuple):
        return list(getattr(kind, "_fields", ()))
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__ if field.eq]
    if is_trusted(value):
        return []
    fields = _slots(kind)[:MAX_FIELDS]
    fields += islice(attributes(value), MAX_FIELDS)
    return fields


def _slots(kind: type) -> list[str]:
    """Return the names in `__slots__` of a class and its bases."""
    slots = []
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if is_instance(member, types.MemberDescriptorType):
                slots.append(name)
    return slots


def _field(value: Any, name: str) -> Any:
    """Return the value of a field without running properties."""
    members = attributes(value)
    if name in members:
        return members[name]
    member = inspect.getattr_static(type(value), name, None)
    if is_instance(member, types.MemberDescriptorType) or is_instance(value, tuple):
        try:
            return member.__get__(value)
        except AttributeError:  # a slot that was never filled
            return None
    return member


def _missing_item(item: object, container: Any) -> Iterator[str]:
    """Yield what a container holds instead of an item."""
    if type(container) in ITERATOR_TYPES:
        yield "it can be iterated only once"
        return
    items = plain(container)
    if type(container) in DICT_VIEWS:
        items = list(islice(container, MAX_COMPARED))
    item = plain(item)
    if type(item) is str and type(items) is str:
        yield from missing_text(item, items)
    elif type(items) in (list, tuple, set, frozenset, dict):
        size = counted(len(items), "item")
        near = nearest_key(item, items)
        if near:
            yield f"it has {size}, the nearest is {near}"
            return
        yield f"it has {size}"
        if not compares_identity(item):
            return
        if short_repr(item) in map(short_repr, islice(items, 50)):
            yield f"one of them prints alike, but {type(item).__name__} defines no __eq__"
