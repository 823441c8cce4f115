"""Compares live values of any type, bounded and without side effects.

The only user code that runs is `==` and `hash` of values inside builtin containers. Only
builtin containers are iterated over.
"""

from __future__ import annotations

import math
import sys
import types
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from pytest_starcoder.source.callees import is_instance

MAX_COMPARED = 100_000
"""Maximum number of pairs of items that are compared."""

MIN_BISECTED = 1000
"""Minimum length of lists that are bisected, because Python compares whole slices fast."""

MAX_DEPTH = 12
"""Maximum nesting of the containers that are described."""

NUMBERS = {int, float, bool, complex}
SCALARS = {*NUMBERS, str, bytes, types.NoneType}
BUILTINS = {*NUMBERS, str, bytes, list, tuple, dict, set, frozenset, types.NoneType}

_COPIES: dict[type, Any] = {
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    float: float.__float__,
    int: int.__int__,
    list: list.copy,
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    dict: dict.copy,
    set: set,
    frozenset: frozenset,
}
"""Functions that turn an instance of a subclass into one of the builtin type."""

_LIKE_DICT = {OrderedDict, defaultdict, Counter}
"""Subclasses that override `==` but may be compared as dicts."""

Tolerance = tuple[float, float]
"""Relative and absolute difference up to which numbers count as equal."""


class BudgetExceededError(Exception):
    """More pairs would have to be compared than `MAX_COMPARED`."""


class Comparer:
    """Compares values until its budget is spent."""

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        self.tolerance = tolerance
        self._budget = MAX_COMPARED

    def equal(self, first: Any, second: Any, depth: int = 0) -> bool | None:
        """Return whether two values are equal; None if that is unknown without running user code.

        Raises BudgetExceededError.
        """
        if first is second:
            return True
        # Python compares millions of scalars within a second.
        kind = type(first)
        if kind is type(second) and kind in SCALARS and self.tolerance is None:
            return bool(first == second)
        self._budget -= 1
        if self._budget < 0:
            raise BudgetExceededError
        # A structure may contain itself.
        if depth > 4 * MAX_DEPTH:
            return None
        first = plain(first)
        second = plain(second)
        if {type(first), type(second)} <= BUILTINS:
            return self._equal_builtins(first, second, depth)
        return _equal_objects(first, second)

    def _equal_builtins(self, first: Any, second: Any, depth: int) -> bool | None:
        if self.tolerance and is_number(first) and is_number(second):
            relative, absolute = self.tolerance
            return math.isclose(first, second, rel_tol=relative, abs_tol=absolute)
        kinds = {type(first), type(second)}
        if len(kinds) > 1 and not kinds <= NUMBERS:
            return False
        if kinds == {list} or kinds == {tuple}:
            return self._equal_sequences(first, second, depth)
        if kinds == {dict}:
            return self._equal_dicts(first, second, depth)
        return bool(first == second)

    def _equal_sequences(self, first: Any, second: Any, depth: int) -> bool | None:
        if len(first) != len(second):
            return False
        if len(first) > MIN_BISECTED and self.tolerance is None and _are_builtin(first, second):
            return bool(first == second)
        return self._all_equal(zip(first, second, strict=True), depth)

    def _equal_dicts(self, first: Any, second: Any, depth: int) -> bool | None:
        if len(first) != len(second):
            return False
        if not all(contains(second, key) for key in first):
            return False
        values = ((value, second[key]) for key, value in first.items())
        return self._all_equal(values, depth)

    def first_difference(self, first: list[Any], second: list[Any]) -> int:
        """Return the first index at which two lists certainly differ, or the shorter length."""
        common = min(len(first), len(second))
        index = 0
        if common > MIN_BISECTED and self.tolerance is None and _are_builtin(first, second):
            index = common_start(first, second)
        while index < common and self.equal(first[index], second[index]) is not False:
            index += 1
        return index

    def _all_equal(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> bool | None:
        result: bool | None = True
        for first, second in pairs:
            equal = self.equal(first, second, depth + 1)
            if equal is False:
                return False
            if equal is None:
                result = None
        return result


def _are_builtin(*lists: list[Any]) -> bool:
    return all(kind in BUILTINS for items in lists for kind in set(map(type, items)))


Items = TypeVar("Items", str, bytes, list[Any])


def common_start(first: Items, second: Items) -> int:
    """Return the number of equal items at the start of two sequences."""
    # Comparing slices is much faster than comparing items in a loop.
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def are_known_equal(first: object, second: object, tolerance: Tolerance | None) -> bool:
    """Return whether two values of builtin types are certainly equal."""
    if type(plain(first)) not in BUILTINS:
        return False
    try:
        return Comparer(tolerance).equal(first, second) is True
    except (BudgetExceededError, RecursionError):
        return False


def _equal_objects(first: object, second: object) -> bool | None:
    """Return the result of `==` between two objects of one class, or of trusted classes."""
    are_trusted = is_trusted(first) and is_trusted(second)
    if type(first) is not type(second) and not are_trusted:
        # Python falls back to identity if neither class defines `__eq__`.
        if compares_identity(first) and compares_identity(second):
            return False
        return None
    try:
        equal: object = first == second
        # Arrays compare item by item, and the truth value of the result may be ambiguous.
        if type(equal) is bool or _is_numpy_number(type(equal)):
            return bool(equal)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - user code in `==` may raise anything
        return None
    return None


def plain(value: Any) -> Any:
    """Return an instance of a subclass of a builtin type as the builtin type.

    Other values are returned unchanged, and so are those whose class overrides `==`. Only
    methods of the builtin types are called, because a subclass may override iteration.
    """
    kind = type(value)
    if kind in BUILTINS:
        return value
    for base, copy in _COPIES.items():
        if issubclass(kind, base):
            inherits_eq = kind.__eq__ is base.__eq__  # type: ignore[comparison-overlap]
            if inherits_eq or kind in _LIKE_DICT or _is_numpy_number(kind):
                return copy(value)
            return value
    return value


def is_trusted(value: object) -> bool:
    """Return whether a value's class is part of the standard library or a NumPy number."""
    module = str(type(value).__module__).partition(".")[0]
    return module in sys.stdlib_module_names or _is_numpy_number(type(value))


def _is_numpy_number(kind: type) -> bool:
    """Return whether a class is a NumPy scalar type, without importing NumPy."""
    bases = [(base.__module__, base.__name__) for base in kind.__mro__]
    return ("numpy", "generic") in bases


def is_number(value: object) -> bool:
    return type(value) in (int, float, Decimal, Fraction)


def compares_identity(value: object) -> bool:
    """Return whether an object equals only itself."""
    return type(value).__eq__ is object.__eq__


def contains(container: Any, item: Any) -> bool:
    try:
        return item in container
    except TypeError:  # not hashable
        return False


def attributes(owner: object) -> dict[str, Any]:
    """Return the attributes in an instance's own `__dict__`, without running user code."""
    for kind in type(owner).__mro__:
        if "__dict__" not in vars(kind):
            continue
        # A class may define a property of that name, which would run.
        slot = vars(kind)["__dict__"]
        if is_instance(slot, types.GetSetDescriptorType, types.MemberDescriptorType):
            members = object.__getattribute__(owner, "__dict__")
            if type(members) is dict:
                return members
        return {}
    return {}


@dataclass(frozen=True)
class Pair:
    """An actual and an expected value whose difference is described.

    `place` is the path to them inside the compared values, such as `['a'][0]`.
    """

    comparer: Comparer
    actual: Any
    expected: Any
    place: str = ""
    depth: int = 0

    @property
    def at(self) -> str:
        """The start of a sentence about the pair."""
        return f"at {self.place}: " if self.place else ""

    @property
    def name(self) -> str:
        return self.place or "the value"

    def item(self, step: str, actual: Any, expected: Any) -> Pair:
        """Return a pair inside of this one."""
        return Pair(self.comparer, actual, expected, self.place + step, self.depth + 1)

    def differs(self, actual: object, expected: object) -> bool:
        """Return whether two items are known to differ."""
        return self.comparer.equal(actual, expected) is False
