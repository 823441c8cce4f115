"""How the two sides of a failed comparison differ: live values in, short sentences out.

Of the user's code only `__repr__` and the `==` of small things is run; of large
or strange values nothing is looked at but builtin containers, and those not to
their end.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
from collections.abc import Iterator
from typing import Any

from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.text.shown import short_repr

MOST = 3
"""Sentences on one comparison."""

ITEMS = 100_000
"""Items of a container that are compared."""

DEPTH = 6


def differences(op: str, left: object, right: object) -> tuple[str, ...]:
    """At most three sentences, the most telling first; none where nothing can be told. Never raises."""
    try:
        told = list(_differences(op, left, right))[:MOST]
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody's == or repr may raise anything
        return ()
    return tuple(one_line(sentence, 200) for sentence in told)


def _differences(op: str, left: object, right: object) -> Iterator[str]:
    if op in ("in", "not in"):
        if op == "in":
            yield from _missing_from(left, right)
    elif op == "is":
        if _same(left, right):
            yield "they are equal, but not the same object"
    elif op == "==" and left is not right:
        yield from _clash(left, right)
        yield from _inside("", left, right, 0)


def _same(left: object, right: object) -> bool:
    """Whether two values are equal, as far as that can be asked for."""
    if left is right:
        return True
    found = left == right
    return found is True


def _clash(left: object, right: object) -> Iterator[str]:
    """What is wrong with the kind of the value that was got."""
    if left is None and right is not None:
        yield "the value is None: nothing was returned?"
    elif isinstance(left, types.CoroutineType):
        yield "the value is a coroutine: was it awaited?"
    elif isinstance(left, types.GeneratorType) and not isinstance(right, types.GeneratorType):
        yield "the value is a generator: its items were not taken"
    elif isinstance(left, types.FunctionType | types.MethodType | types.BuiltinFunctionType) and not callable(right):
        yield "the value is the function itself: was it called?"
    elif type(left) is not type(right) and type(left).__name__ == type(right).__name__:
        yield f"the types have one name, but are two: {type(left).__module__} and {type(right).__module__}"
    elif _kind(left) != _kind(right) and _kind(left) and _kind(right):
        yield f"the value is {_kind(left)}, not {_kind(right)}"
        if isinstance(left, str) and not isinstance(right, str) and left.strip() == str(right):
            yield "the text says the same"


def _kind(value: object) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        complex: "a number",
        str: "a text",
        bytes: "bytes",
        list: "a list",
        tuple: "a tuple",
        dict: "a dict",
        set: "a set",
        frozenset: "a set",
        type(None): "None",
    }
    return kinds.get(type(value), "")


def _inside(place: str, left: object, right: object, depth: int) -> Iterator[str]:
    """Where and how two values differ; `place` is the way to them, empty at the top."""
    if depth > DEPTH:
        return
    if isinstance(left, str) and isinstance(right, str):
        yield from _texts(place, left, right)
    elif isinstance(left, bytes) and isinstance(right, bytes):
        at = _first(left, right)
        yield f"{_at(place)}they differ from byte {at} on; {len(left)} bytes instead of {len(right)}"
    elif _is_number(left) and _is_number(right):
        yield from _numbers(place, left, right)
    elif type(left) in (list, tuple) and type(right) in (list, tuple):
        yield from _sequences(place, left, right, depth)  # type: ignore[arg-type]
    elif isinstance(left, dict) and isinstance(right, dict):
        yield from _dicts(place, left, right, depth)
    elif isinstance(left, set | frozenset) and isinstance(right, set | frozenset):
        yield from _sets(place, left, right)
    elif type(left) is type(right):
        yield from _objects(place, left, right, depth)
    elif place:
        yield f"{place} is {short_repr(left)}, not {short_repr(right)}"


def _at(place: str) -> str:
    return f"at {place}: " if place else ""


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _texts(place: str, left: str, right: str) -> Iterator[str]:
    if left == right:
        return
    if left.casefold() == right.casefold():
        yield f"{_at(place)}they differ in case alone"
    elif "".join(left[:ITEMS].split()) == "".join(right[:ITEMS].split()) and max(len(left), len(right)) <= ITEMS:
        yield f"{_at(place)}they differ in white space alone"
    at = _first(left, right)
    if at == min(len(left), len(right)):
        longer, more = (left, "more") if len(left) > len(right) else (right, "less")
        rest = longer[at : at + 40]
        yield f"{_at(place)}the value has {abs(len(left) - len(right))} characters {more}: {rest!r}"
        return
    start = max(0, at - 10)
    yield f"{_at(place)}they differ from index {at} on: {left[start : at + 20]!r} instead of {right[start : at + 20]!r}"
    if len(left) != len(right):
        yield f"{_at(place)}{len(left)} characters instead of {len(right)}"


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


def _numbers(place: str, left: Any, right: Any) -> Iterator[str]:
    if left == right:
        return
    if math.isnan(left) or math.isnan(right):
        yield f"{_at(place)}NaN equals nothing, itself neither"
        return
    where = place or "the value"
    difference = left - right
    if isinstance(difference, float) and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12):
        yield f"{_at(place)}they differ by {abs(difference):.2g}, which is rounding: compare with pytest.approx"
    elif left == -right:
        yield f"{where} has the opposite sign"
    else:
        large = "large" if difference > 0 else "small"
        exact = isinstance(difference, int)
        yield f"{where} is too {large} by {abs(difference) if exact else f'{abs(difference):.6g}'}"
        if right and abs(left / right) in (10, 100, 1000, 0.1, 0.01, 0.001, 2, 0.5):
            yield f"{where} is {left / right:g} times what is expected"


Row = list[Any] | tuple[Any, ...]


def _sequences(place: str, left: Row, right: Row, depth: int) -> Iterator[str]:
    if len(left) != len(right):
        yield f"{_at(place)}{counted(len(left), 'item')} instead of {len(right)}"
    for index, (one, other) in enumerate(zip(left[:ITEMS], right[:ITEMS], strict=False)):
        if not _same(one, other):
            inside = list(_inside(f"{place}[{index}]", one, other, depth + 1))
            yield f"{place}[{index}] is {short_repr(one)}, not {short_repr(other)}"
            if isinstance(one, dict | list | tuple | str):
                yield from inside
            break
    else:
        longer = left if len(left) > len(right) else right
        if len(left) != len(right):
            more = "more" if longer is left else "missing"
            yield f"{_at(place)}{more} at its end: {short_repr(longer[min(len(left), len(right))])}"
    if len(left) == len(right) <= 1000 and _reordered(left, right):
        yield f"{_at(place)}the same items in another order"


def _reordered(left: Row, right: Row) -> bool:
    rest = list(right)
    for item in left:
        if item not in rest:
            return False
        rest.remove(item)
    return True


def _dicts(place: str, left: dict[Any, Any], right: dict[Any, Any], depth: int) -> Iterator[str]:
    missing = [key for key in right if key not in left]
    extra = [key for key in left if key not in right]
    for key in missing[:2]:
        near = nearest(key, extra or list(left))
        yield f"{_at(place)}the key {short_repr(key)} is missing" + (f"; there is {near}" if near else "")
    if extra and not missing:
        yield f"{_at(place)}the key {short_repr(extra[0])} is too many"
    for key in list(left)[:ITEMS]:
        if key in right and not _same(left[key], right[key]):
            where = f"{place}[{short_repr(key)}]"
            yield f"{where} is {short_repr(left[key])}, not {short_repr(right[key])}"
            if isinstance(left[key], dict | list | tuple | str):
                yield from _inside(where, left[key], right[key], depth + 1)
            break


def _sets(place: str, left: set[Any] | frozenset[Any], right: set[Any] | frozenset[Any]) -> Iterator[str]:
    more, less = left - right, right - left
    if less:
        yield f"{_at(place)}missing: {short_repr(less)}"
    if more:
        yield f"{_at(place)}too many: {short_repr(more)}"


def _objects(place: str, left: Any, right: Any, depth: int) -> Iterator[str]:
    """Two of one class: the first field that differs."""
    fields = _fields(left)
    if not fields:
        if short_repr(left) == short_repr(right) and _compares_identity(left):
            yield f"{_at(place)}both print alike, but {type(left).__name__} defines no __eq__"
        return
    for name in fields:
        one, other = _static(left, name), _static(right, name)
        if not _same(one, other):
            yield f"{place}.{name} is {short_repr(one)}, not {short_repr(other)}"
            yield from _inside(f"{place}.{name}", one, other, depth + 1) if isinstance(one, dict | list) else ()
            return
    if _compares_identity(left):
        yield f"{_at(place)}all fields are equal, but {type(left).__name__} defines no __eq__"


def _compares_identity(value: object) -> bool:
    return not any("__eq__" in vars(kind) for kind in type(value).__mro__[:-1])


def _fields(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [entry.name for entry in dataclasses.fields(value) if entry.compare]
    if isinstance(value, tuple) and isinstance(getattr(type(value), "_fields", None), tuple):
        return list(type(value)._fields)  # type: ignore[attr-defined]
    found = getattr(value, "__dict__", None)
    return sorted(found)[:50] if type(found) is dict and not isinstance(value, type | types.ModuleType) else []


def _static(value: Any, name: str) -> Any:
    return vars(value).get(name) if name in getattr(value, "__dict__", {}) else getattr(value, name, None)


def _missing_from(item: object, container: object) -> Iterator[str]:
    if isinstance(item, str) and isinstance(container, str):
        at = container[:ITEMS].casefold().find(item.casefold())
        if at >= 0:
            yield f"the text has it in another case, at index {at}: {container[at : at + len(item)]!r}"
        elif "".join(item.split()) in "".join(container[:ITEMS].split()):
            yield "the text has it with other white space"
    elif type(container) in (list, tuple, set, frozenset, dict):
        found = list(container)[:ITEMS]  # type: ignore[call-overload]
        near = nearest(item, found)
        yield f"it has {counted(len(found), 'item')}" + (f", the nearest is {near}" if near else "")


def nearest(key: object, keys: list[Any]) -> str:
    """The key that is most like `key`, as a text; empty where none is."""
    if isinstance(key, str):
        texts = [other for other in keys[:5000] if isinstance(other, str)]
        for same in (other for other in texts if other.casefold() == key.casefold()):
            return short_repr(same)
        near = difflib.get_close_matches(key[:200], texts, n=1, cutoff=0.6)
        if near:
            return short_repr(near[0])
        texts = [str(other) for other in keys[:5000] if type(other) is int]
        return f"{key} as a number" if key in texts else ""
    if type(key) is int and str(key) in [other for other in keys[:5000] if isinstance(other, str)]:
        return f"the text {str(key)!r}"
    return ""
