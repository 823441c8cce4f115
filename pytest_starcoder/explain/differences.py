"""How the two sides of a failed comparison differ: live values in, short sentences out.

Of the user's code only `__repr__` is run, and the `==` and `hash` of what lies
in builtin containers. Nothing else is iterated over, and the number of
comparisons is bounded.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import inspect
import math
import re
import sys
import types
import unicodedata
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

from pytest_starcoder.text.display import counted, printable
from pytest_starcoder.text.reprs import short_repr

MOST = 3
"""Sentences on one comparison."""

COMPARED = 100_000
"""Pairs of items that are compared at the most, once to see whether anything differs and once to see what."""

LONG = 100_000
"""Characters from which on a text is not folded or searched, which takes a second copy of it."""

DEPTH = 12
"""Containers within containers that are entered."""

KEYS = 5000
"""Keys among which the nearest is looked for."""


def differences(op: str, left: object, right: object) -> tuple[str, ...]:
    """At most three sentences, the most telling first; none where nothing can be told. Never raises."""
    told: dict[str, None] = {}
    try:
        for sentence in _differences(op, left, right):
            told[_line(sentence)] = None
            if len(told) == MOST:
                break
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody's == or repr may raise anything; what is told by then stays
        return tuple(told)
    return tuple(told)


def _line(sentence: str) -> str:
    """At most 200 characters; white space in it stays as it is, as that may be what differs."""
    line = printable(sentence).replace("\n", " ")
    return line if len(line) <= 200 else line[:199].rstrip() + "…"


def nearest(key: object, keys: Iterable[object]) -> str:
    """The key that is most like `key`, as a text; empty where none is."""
    known = list(islice(keys, KEYS))
    texts = [other for other in known if type(other) is str and len(other) <= 400]
    if type(key) is int:
        return f"the text {str(key)!r}" if str(key) in texts else ""
    if type(key) is bytes:
        return f"the text {key.decode('latin-1')!r}" if key.decode("latin-1") in texts else ""
    if type(key) is not str or len(key) > 400:
        return ""
    for other in texts:
        if other.casefold() == key.casefold():
            return short_repr(other)
    near = difflib.get_close_matches(
        key, texts[: max(20, 500_000 // (len(key) + 1) ** 2)], n=1, cutoff=0.6
    )
    if near:
        return short_repr(near[0])
    return (
        f"{key} as a number" if key in [str(other) for other in known if type(other) is int] else ""
    )


def is_a(value: object, *kinds: type) -> bool:
    """isinstance, without asking `value`: a proxy's `__class__` may be a property."""
    return issubclass(type(value), kinds)


def attributes(owner: object) -> dict[str, Any]:
    """The attributes that an instance has itself, without asking it."""
    for kind in type(owner).__mro__:
        if "__dict__" in vars(
            kind
        ):  # of a class that defines a property of that name, there is nothing to know
            found = (
                object.__getattribute__(owner, "__dict__")
                if is_a(vars(kind)["__dict__"], *_OF_C)
                else {}
            )
            return found if type(found) is dict else {}
    return {}


_OF_C = (types.GetSetDescriptorType, types.MemberDescriptorType)


def _differences(op: str, left: object, right: object) -> Iterator[str]:
    bounds = _Bounds()
    if op == "in":
        yield from _missing_from(bounds, left, right)
    elif op == "is" and left is not right and bounds.equal(left, right):
        yield "they are equal, but not the same object"
    elif op in ("<", ">") and bounds.equal(left, right):
        yield "they are equal"
    elif op == "==":
        expected = bounds.approximated(right)
        if is_a(left, float) and is_a(expected, float) and left != left:
            yield "NaN equals nothing, itself neither"
        elif not _Bounds(bounds).told_equal(left, expected):
            yield from _clash(left, expected)
            yield from _inside(bounds, "", left, expected, 0)
        elif type(left) is type(expected) is OrderedDict and list(left) != list(expected):
            yield "the same items in another order"


# --- whether two values are equal ------------------------------------------------------------


class _SpentError(Exception):
    pass


class _Bounds:
    """What may still be compared, and how exactly."""

    def __init__(self, other: _Bounds | None = None) -> None:
        self._left = COMPARED
        self.tolerance: tuple[float, float] | None = other.tolerance if other else None

    def approximated(self, expected: object) -> object:
        """What a `pytest.approx` expects, whose tolerance holds from now on; anything else as it is."""
        kind = type(expected)
        if not (kind.__name__.startswith("Approx") and kind.__module__.startswith("_pytest.")):
            return expected
        found = attributes(expected)
        self.tolerance = found.get("rel") or 1e-6, found.get("abs") or 1e-12
        return found.get("expected")

    def told_equal(self, one: object, other: object) -> bool:
        """Whether two values of builtin types are known to be equal: then nothing is to be said of them."""
        try:
            return type(plain(one)) in _BUILTIN and bool(self.equal(one, other))
        except (_SpentError, RecursionError):
            return False

    def equal(self, one: object, other: object, depth: int = 0) -> bool | None:
        """Whether two values are equal; None where that cannot be told without harm."""
        self._left -= 1
        if self._left < 0:
            raise _SpentError
        if one is other:
            return True
        if depth > 4 * DEPTH:
            return None
        one, other = plain(one), plain(other)
        if type(one) not in _BUILTIN or type(other) not in _BUILTIN:
            return _asked(one, other)
        if self.tolerance and _is_number(one) and _is_number(other):
            return math.isclose(one, other, rel_tol=self.tolerance[0], abs_tol=self.tolerance[1])  # type: ignore[arg-type]
        if type(one) is not type(other):
            return bool(one == other) if {type(one), type(other)} <= _NUMBERS else False
        if type(one) in (list, tuple):
            return len(one) == len(other) and self._all(zip(one, other, strict=True), depth)  # type: ignore[arg-type,call-overload]
        if type(one) is dict:
            return self._equal_dicts(one, other, depth)  # type: ignore[arg-type]
        return bool(one == other)

    def _all(self, pairs: Iterable[tuple[object, object]], depth: int) -> bool | None:
        unknown = False
        for one, other in pairs:
            found = self.equal(one, other, depth + 1)
            if found is False:
                return False
            unknown = unknown or found is None
        return None if unknown else True

    def _equal_dicts(self, one: dict[Any, Any], other: dict[Any, Any], depth: int) -> bool | None:
        if len(one) != len(other) or not all(_has(other, key) for key in one):
            return False
        return self._all(((value, other[key]) for key, value in one.items()), depth)


_NUMBERS = {int, float, bool, complex}
_BUILTIN = {*_NUMBERS, str, bytes, list, tuple, dict, set, frozenset, types.NoneType}


def plain(value: Any) -> Any:
    """What an object of a subclass of a builtin type holds, as that type; others, and those with an own `==`, as is.

    Only methods of the builtin types are called: a subclass may iterate as it likes.
    """
    kind = type(value)
    if kind in _BUILTIN:
        return value
    for base, copied in _PLAIN.items():
        if issubclass(kind, base):
            same = kind.__eq__ is base.__eq__  # type: ignore[comparison-overlap]
            return copied(value) if same or kind in _ALIKE or _of_numpy(kind) else value
    return value


_PLAIN: dict[type, Any] = {
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
_ALIKE = {OrderedDict, defaultdict, Counter}


def _asked(one: object, other: object) -> bool | None:
    """What `==` says of two objects of one class, or of classes of the standard library."""
    if type(one) is not type(other) and not (_is_known(one) and _is_known(other)):
        return False if _compares_identity(one) and _compares_identity(other) else None
    try:
        found: object = one == other
        return bool(found) if type(found) is bool or _of_numpy(type(found)) else None
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody's == may raise anything
        return None


def _is_known(value: object) -> bool:
    module = str(type(value).__module__).partition(".")[0]
    return module in sys.stdlib_module_names or _of_numpy(type(value))


def _of_numpy(kind: type) -> bool:
    """Whether that is a class of NumPy's numbers: their `==` gives no bool of Python's."""
    return any(base.__name__ == "generic" and base.__module__ == "numpy" for base in kind.__mro__)


def _has(container: Any, item: Any) -> bool:
    try:
        return item in container
    except TypeError:  # not hashable
        return False


# --- values of two kinds ---------------------------------------------------------------------


def _clash(left: object, right: object) -> Iterator[str]:
    """What is wrong with the kind of the value that was got."""
    mock = getattr(sys.modules.get("unittest.mock"), "NonCallableMock", None)
    if left is None and right is not None:
        yield "the value is None: nothing was returned?"
    elif is_a(left, types.CoroutineType):
        yield "the value is a coroutine: was it awaited?"
    elif type(left) in _ONCE and type(right) not in _ONCE:
        yield f"the value is a {type(left).__name__.replace('_', ' ')}: its items were not taken"
    elif is_a(
        left, types.FunctionType, types.MethodType, types.BuiltinFunctionType
    ) and not callable(right):
        yield "the value is the function itself: was it called?"
    elif is_a(left, type) and not is_a(right, type):
        yield f"the value is the class {left.__name__} itself: was it called?"  # type: ignore[attr-defined]
    elif isinstance(mock, type) and is_a(left, mock):
        yield "the value is a mock: was its return_value set?"
    elif type(left) is not type(right) and type(left).__name__ == type(right).__name__:
        yield f"the types have one name, but are two: {type(left).__module__} and {type(right).__module__}"
    elif (
        is_a(left, enum.Enum)
        and not is_a(right, enum.Enum)
        and attributes(left).get("_value_") == plain(right)
    ):
        yield f"the value is a member of {type(left).__name__}: its .value would be equal"
    elif _kind(left) != _kind(right) and _is_known(right):
        yield f"the value is {_kind(left)}, not {_kind(right)}"
        yield from _alike_as_texts(left, right)


_ONCE = {
    types.GeneratorType,
    types.AsyncGeneratorType,
    map,
    filter,
    zip,
    enumerate,
    reversed,
    type(iter([])),
}


def _alike_as_texts(left: object, right: object) -> Iterator[str]:
    one, other = plain(left), plain(right)
    if type(one) is str and type(other) is bytes:
        one, other = other, one
    if type(one) is bytes and type(other) is str:
        if one == other.encode("utf-8", "surrogateescape"):
            yield "decoded as UTF-8, they are equal"
    elif (type(one) is str and short_repr(other) == one.strip()) or (
        type(other) is str and short_repr(one) == other
    ):
        yield "as texts, they are equal"


def _kind(value: object) -> str:
    kind, base = type(value), type(plain(value))
    if kind in _KINDS or base in _KINDS:
        return _KINDS.get(kind) or _KINDS[base]
    return f"{'an' if kind.__name__[0].lower() in 'aeiou' else 'a'} {kind.__name__}"


_KINDS: dict[type, str] = {
    bool: "a boolean",
    **dict.fromkeys((int, float, complex, Decimal, Fraction), "a number"),
    str: "a text",
    bytes: "bytes",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
    set: "a set",
    frozenset: "a set",
    types.NoneType: "None",
}


# --- values of one kind ----------------------------------------------------------------------


def _inside(bounds: _Bounds, place: str, left: Any, right: Any, depth: int) -> Iterator[str]:
    """Where and how two values differ; `place` is the way to them, empty at the top."""
    if depth > DEPTH:
        return
    fields = _fields(left) if type(left) is type(right) else []
    if fields:
        yield from _objects(bounds, place, left, right, fields, depth)
        return
    one, other = plain(left), plain(right)
    if type(one) is type(other) is str:
        yield from _texts(place, one, other)
    elif type(one) is type(other) is bytes:
        at = _first(one, other)
        yield f"{_at(place)}they differ from byte {at} on: {_piece(one, at)} instead of {_piece(other, at)}"
        yield from _lengths(place, "byte", one, other)
    elif _is_number(one) and _is_number(other):
        yield from _numbers(bounds, place, one, other)
    elif type(one) in (list, tuple) and type(other) in (list, tuple):
        yield from _sequences(bounds, place, list(one), list(other), depth)
    elif type(one) is type(other) is dict:
        yield from _dicts(bounds, place, one, other, depth)
    elif type(one) in (set, frozenset) and type(other) in (set, frozenset):
        yield from _sets(place, one, other)
    elif is_a(one, date) and is_a(other, date):
        yield from _dates(place, one, other)
    elif (
        type(one) is type(other)
        and short_repr(one) == short_repr(other)
        and _compares_identity(one)
    ):
        yield f"{_at(place)}both print alike, but {type(one).__name__} defines no __eq__"


def _part(bounds: _Bounds, place: str, left: Any, right: Any, depth: int) -> Iterator[str]:
    """How what is at `place` differs: by what differs inside, where it holds something."""
    inside = list(islice(_inside(bounds, place, left, right, depth + 1), MOST))
    if type(plain(left)) in (str, bytes, int, float) or not inside:
        yield f"{place} is {short_repr(left)}, not {short_repr(right)}"
    yield from inside


def _at(place: str) -> str:
    return f"at {place}: " if place else ""


def _is_number(value: object) -> bool:
    return type(value) in (int, float, Decimal, Fraction)


def _texts(place: str, left: str, right: str) -> Iterator[str]:
    if left == right:
        return
    at = _first(left, right)
    yield from _nearly_alike(place, left, right)
    if (
        left.startswith(right)
        or right.startswith(left)
        or left.endswith(right)
        or right.endswith(left)
    ):
        longer, more = (left, "more") if len(left) > len(right) else (right, "less")
        number = abs(len(left) - len(right))
        if at < min(len(left), len(right)):
            more, rest = f"{more} in front", longer[:number]
        else:
            rest = longer[at:]
        if left.rstrip("\n") != right.rstrip("\n"):
            yield f"{_at(place)}the value has {counted(number, 'character')} {more}: {_quote(rest)}"
        return
    if place and max(len(left), len(right)) <= 40:
        return  # both were shown in full
    line = left.count("\n", 0, at)
    on = f"line {line + 1}" if line else f"index {at}"
    yield f"{_at(place)}they differ from {on} on: {_piece(left, at)} instead of {_piece(right, at)}"
    if not (
        left[at].isascii()
        and right[at].isascii()
        and left[at].isprintable()
        and right[at].isprintable()
    ):
        yield f"{_at(place)}{_character(left[at])} stands where {_character(right[at])} is expected"
    yield from _lengths(place, "character", left, right)


def _nearly_alike(place: str, left: str, right: str) -> Iterator[str]:
    if max(len(left), len(right)) > LONG:
        return
    if left.rstrip("\n") == right.rstrip("\n"):
        one, other = (len(text) - len(text.rstrip("\n")) for text in (left, right))
        yield f"{_at(place)}the value ends with {counted(one, 'newline')}, the expected text with {other}"
    elif left.replace("\r\n", "\n") == right.replace("\r\n", "\n"):
        yield f"{_at(place)}they differ in line endings alone"
    elif "".join(left.split()) == "".join(right.split()):
        yield f"{_at(place)}they differ in white space alone"
    elif unicodedata.normalize("NFKC", left) == unicodedata.normalize("NFKC", right):
        yield f"{_at(place)}they look alike, but are written with other characters"
    elif left.casefold() == right.casefold():
        yield f"{_at(place)}they differ in case alone"


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _character(char: str) -> str:
    if char.isascii() and char.isprintable():
        return repr(char)
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".strip()


def _piece(text: str | bytes, at: int) -> str:
    """What stands around an index, as a literal."""
    start = max(0, at - 10)
    if isinstance(text, str):
        start = max(start, text.rfind("\n", 0, at) + 1)
    return repr(text[start : at + 20])


def _lengths(place: str, unit: str, left: str | bytes, right: str | bytes) -> Iterator[str]:
    if len(left) != len(right):
        yield f"{_at(place)}{counted(len(left), unit)} instead of {len(right)}"


def _first(left: str | bytes, right: str | bytes) -> int:
    """The first index at which two texts differ, found by halves: comparing slices is quick."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _numbers(bounds: _Bounds, place: str, left: Any, right: Any) -> Iterator[str]:
    where = place or "the value"
    if left != left or right != right:
        yield f"{_at(place)}NaN equals nothing, itself neither"
        return
    if _is_infinite(left) or _is_infinite(right):
        if not place:
            yield f"the value is {'' if _is_infinite(left) else 'not '}infinite"
        return
    exact = Fraction(left) - Fraction(right)
    if bounds.tolerance is None and _is_rounding(exact, left, right):
        yield f"{_at(place)}they differ by {float(abs(exact)):.2g}, which is rounding: compare with pytest.approx"
    elif not place and exact:
        if left == -right:
            yield f"{where} has the opposite sign"
            return
        yield f"{where} is too {'large' if exact > 0 else 'small'} by {_amount(abs(exact))}"
        yield from _related(where, left, right)


def _is_infinite(number: Any) -> bool:
    return type(number) in (float, Decimal) and math.isinf(number)


def _is_rounding(exact: Fraction, left: Any, right: Any) -> bool:
    if type(left) is type(right) is int:
        return False
    return 0 < abs(exact) <= max(abs(Fraction(right)) / 10**9, Fraction(1, 10**12))


def _amount(number: Fraction) -> str:
    if number.numerator.bit_length() > 300:
        return f"some 10^{round((number.numerator.bit_length() - number.denominator.bit_length()) * math.log10(2))}"
    return str(number) if number.denominator == 1 else f"{float(number):.6g}"


def _related(where: str, left: Any, right: Any) -> Iterator[str]:
    """What else the wrong number is: the right one before it was rounded, or a multiple of it."""
    digits = (
        len(repr(right).partition(".")[2]) if type(right) is float and "e" not in repr(right) else 0
    )
    if type(left) is float and type(right) in (int, float) and round(left, digits) == right:
        yield (
            f"rounded to {counted(digits, 'digit')} it is equal"
            if digits
            else "rounded it is equal"
        )
    elif right and abs(right) < 2**60 and abs(left) < 2**60:
        times = round(float(Fraction(left) / Fraction(right)), 9)
        if abs(times) in (10, 100, 1000, 0.1, 0.01, 0.001) or (
            abs(right) > 2 and times in (2, 0.5)
        ):
            yield f"{where} is {times:g} times what is expected"


def _dates(place: str, left: Any, right: Any) -> Iterator[str]:
    if type(left) is type(right) is datetime and (left.tzinfo is None) != (right.tzinfo is None):
        yield f"{_at(place)}only {'the expected one' if left.tzinfo is None else 'the value'} has a time zone"
    elif type(left) is type(right) and type(left) in (date, datetime) and left != right:
        yield f"{place or 'the value'} is {abs(left - right)} too {'late' if left > right else 'early'}"


# --- containers --------------------------------------------------------------------------------


def _sequences(
    bounds: _Bounds, place: str, left: list[Any], right: list[Any], depth: int
) -> Iterator[str]:
    common = min(len(left), len(right))
    pairs = enumerate(zip(left, right, strict=False))
    at = next((index for index, (one, other) in pairs if bounds.equal(one, other) is False), common)
    if len(left) != len(right):
        yield f"{_at(place)}{counted(len(left), 'item')} instead of {len(right)}"
        longer, shorter = (left, right) if len(left) > len(right) else (right, left)
        more = longer[at : at + len(longer) - common]
        if at == common or bounds.equal(longer[at + len(more) :], shorter[at:]):
            shown = short_repr(more[0]) if len(more) == 1 else short_repr(more)
            where = (
                "at its end"
                if at == common
                else f"from [{at}] on"
                if len(more) > 1
                else f"at [{at}]"
            )
            yield f"{_at(place)}{'too many' if longer is left else 'missing'} {where}: {shown}"
            return
    elif at < common and _reordered(bounds, left, right):
        yield f"{_at(place)}the same items in another order"
    if at < common:
        yield from _part(bounds, f"{place}[{at}]", left[at], right[at], depth)


def _reordered(bounds: _Bounds, left: list[Any], right: list[Any]) -> bool:
    if all(type(item) in (str, int, bytes) for item in (*left, *right)):
        return Counter[Hashable](left) == Counter[Hashable](right)
    if len(left) > 100:
        return False
    rest = list(right)
    for item in left:
        found = next((index for index, other in enumerate(rest) if bounds.equal(item, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _dicts(
    bounds: _Bounds, place: str, left: dict[Any, Any], right: dict[Any, Any], depth: int
) -> Iterator[str]:
    missing = [key for key in right if not _has(left, key)]
    extra = [key for key in left if not _has(right, key)]
    for key in missing[:2]:
        near = nearest(key, extra or left)
        yield f"{_at(place)}the key {short_repr(key)} is missing" + (
            f"; there is {near}" if near else ""
        )
    if extra and not missing:
        more = f" and {len(extra) - 1} more are" if extra[1:] else " is"
        yield f"{_at(place)}the key {short_repr(extra[0])}{more} too many"
    for key, value in left.items():
        if _has(right, key) and bounds.equal(value, right[key]) is False:
            yield from _part(bounds, f"{place}[{short_repr(key)}]", value, right[key], depth)
            return


def _sets(
    place: str, left: set[Any] | frozenset[Any], right: set[Any] | frozenset[Any]
) -> Iterator[str]:
    less, more = set(right.difference(left)), set(left.difference(right))
    if less:
        yield f"{_at(place)}missing: {short_repr(less)}"
    if more:
        yield f"{_at(place)}too many: {short_repr(more)}"


def _objects(
    bounds: _Bounds, place: str, left: Any, right: Any, fields: list[str], depth: int
) -> Iterator[str]:
    """Two of one class: the first field that differs."""
    for name in fields:
        one, other = _field(left, name), _field(right, name)
        if bounds.equal(one, other) is False:
            yield from _part(bounds, f"{place}.{name}", one, other, depth)
            return
    if _compares_identity(left):
        yield f"{_at(place)}all fields are equal, but {type(left).__name__} defines no __eq__"


def _compares_identity(value: object) -> bool:
    return type(value).__eq__ is object.__eq__


def _fields(value: Any) -> list[str]:
    """The names of what an object is compared by, as far as its class tells; none of a builtin value or an enum's."""
    kind = type(value)
    if is_a(value, enum.Enum, type, types.ModuleType, types.FunctionType, BaseException):
        return []
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.compare]
    if is_a(value, tuple):
        return list(getattr(kind, "_fields", ()))
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__ if field.eq]
    if _is_known(value):
        return []
    members = [(name, found) for base in kind.__mro__ for name, found in vars(base).items()]
    slots = [name for name, found in members if is_a(found, types.MemberDescriptorType)]
    return [*slots[:50], *list(attributes(value))[:50]]


def _field(value: Any, name: str) -> Any:
    own = attributes(value)
    if name in own:
        return own[name]
    found = inspect.getattr_static(type(value), name, None)
    if is_a(found, types.MemberDescriptorType) or is_a(value, tuple):
        try:
            return found.__get__(value)
        except AttributeError:  # a slot that was never filled
            return None
    return found


# --- what is not in a container ------------------------------------------------------------------


def _missing_from(bounds: _Bounds, item: object, container: object) -> Iterator[str]:
    within = list(islice(container, COMPARED)) if type(container) in _VIEWS else plain(container)  # type: ignore[call-overload]
    item = plain(item)
    if type(item) is str and type(within) is str:
        yield from _missing_text(item, within[:LONG])
    elif type(within) in (list, tuple, set, frozenset, dict):
        near = nearest(item, within)
        yield f"it has {counted(len(within), 'item')}" + (
            f", the nearest is {near}" if near else ""
        )
        if (
            not near
            and _compares_identity(item)
            and short_repr(item) in map(short_repr, islice(within, 50))
        ):
            yield f"one of them prints alike, but {type(item).__name__} defines no __eq__"
    elif type(container) in _ONCE:
        yield "its items can be taken only once"


_VIEWS = {type({}.keys()), type({}.values()), type({}.items())}


def _missing_text(item: str, text: str) -> Iterator[str]:
    found = re.search(re.escape(item), text, re.IGNORECASE) if len(item) <= len(text) else None
    if found:
        yield f"the text has it in another case, at index {found.start()}: {found[0]!r}"
    elif "".join(item.split()) in "".join(text.split()):
        yield "the text has it with other white space"
    elif len(item) > len(text):
        yield f"the text has {counted(len(text), 'character')}, what is looked for {len(item)}"
    elif len(item) <= 100:
        match = difflib.SequenceMatcher(
            None, item, text[:2000], autojunk=False
        ).find_longest_match()
        if match.size >= max(4, len(item) / 2):
            start = max(0, match.b - match.a)
            yield f"the nearest is {text[start : start + len(item)]!r}, at index {start}"
