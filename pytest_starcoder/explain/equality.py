"""Compares live values of any type, bounded and without side effects.

Of user code only `==` and `hash` of values inside builtin containers run. Nothing else is
iterated over.
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
from typing import Any

from pytest_starcoder.source.callees import is_instance

MAX_COMPARED = 100_000
"""Maximum number of pairs of items that are compared."""

MAX_DEPTH = 12
"""Maximum nesting of the containers that are described."""

NUMBERS = {int, float, bool, complex}
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
"""How a value of a subclass becomes one of the builtin type, by the builtin type's own methods."""

_LIKE_DICT = {OrderedDict, defaultdict, Counter}
"""Subclasses with an `==` of their own that may be compared as dicts."""


Tolerance = tuple[float, float]
"""Relative and absolute difference of numbers that are taken as equal."""


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
        self._budget -= 1
        if self._budget < 0:
            raise BudgetExceededError
        if first is second:
            return True
        # A structure may contain itself.
        if depth > 4 * MAX_DEPTH:
            return None
        first, second = plain(first), plain(second)
        kinds = {type(first), type(second)}
        if not kinds <= BUILTINS:
            return _equal_objects(first, second)
        if self.tolerance and is_number(first) and is_number(second):
            relative, absolute = self.tolerance
            return math.isclose(first, second, rel_tol=relative, abs_tol=absolute)
        if len(kinds) > 1:
            # Only numbers of different types may be equal.
            return kinds <= NUMBERS and bool(first == second)
        if kinds <= {list, tuple}:
            return self._equal_sequences(first, second, depth)
        if kinds == {dict}:
            return self._equal_dicts(first, second, depth)
        return bool(first == second)

    def _equal_sequences(self, first: Any, second: Any, depth: int) -> bool | None:
        if len(first) != len(second):
            return False
        return self._all_equal(zip(first, second, strict=True), depth)

    def _equal_dicts(self, first: Any, second: Any, depth: int) -> bool | None:
        if len(first) != len(second):
            return False
        if not all(contains(second, key) for key in first):
            return False
        values = ((value, second[key]) for key, value in first.items())
        return self._all_equal(values, depth)

    def _all_equal(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> bool | None:
        result: bool | None = True
        for first, second in pairs:
            equal = self.equal(first, second, depth + 1)
            if equal is False:
                return False
            if equal is None:
                result = None
        return result


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
    is_comparable = type(first) is type(second) or (is_trusted(first) and is_trusted(second))
    if not is_comparable:
        # Python falls back to identity if neither class defines `__eq__`.
        return False if compares_identity(first) and compares_identity(second) else None
    try:
        equal: object = first == second
        # An array compares item by item: the truth of the result may be ambiguous.
        if type(equal) is bool or _is_numpy_number(type(equal)):
            return bool(equal)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - an `==` of the user's may raise anything
        return None
    return None


def plain(value: Any) -> Any:
    """Return a value of a subclass of a builtin type as that type; other values as they are.

    Values with an `==` of their own stay as well. Only methods of the builtin types are called,
    because a subclass may iterate as it likes.
    """
    kind = type(value)
    if kind in BUILTINS:
        return value
    for base, copy in _COPIES.items():
        if issubclass(kind, base):
            # A class with an `==` of its own is compared by that.
            inherits_eq = kind.__eq__ is base.__eq__  # type: ignore[comparison-overlap]
            is_plain = inherits_eq or kind in _LIKE_DICT or _is_numpy_number(kind)
            return copy(value) if is_plain else value
    return value


def is_trusted(value: object) -> bool:
    """Return whether a value's class is part of the standard library or a number of NumPy's."""
    module = str(type(value).__module__).partition(".")[0]
    return module in sys.stdlib_module_names or _is_numpy_number(type(value))


def _is_numpy_number(kind: type) -> bool:
    """Return whether `==` of a class returns a bool of NumPy's instead of Python's."""
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
        if "__dict__" in vars(kind):
            # A class may define a property of that name, which would be run.
            slot = vars(kind)["__dict__"]
            if is_instance(slot, types.GetSetDescriptorType, types.MemberDescriptorType):
                members = object.__getattribute__(owner, "__dict__")
                return members if type(members) is dict else {}
            return {}
    return {}


@dataclass(frozen=True)
class Pair:
    """Two values to describe the difference of: the actual one and the expected one.

    `place` is the path to them inside the compared values, such as `['a'][0]`.
    """

    comparer: Comparer
    actual: Any
    expected: Any
    place: str = ""
    depth: int = 0

    @property
    def at(self) -> str:
        """The beginning of a sentence on the pair."""
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
