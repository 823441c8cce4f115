"""Describes integers that identify something: status codes, identifiers, enum members."""

from __future__ import annotations

import ast
import enum
import re
from collections.abc import Iterator
from typing import Any

from pytest_starcoder.explain.equality import Pair
from pytest_starcoder.source.callees import is_instance

CODE_WORDS = frozenset(
    """status code codes returncode exitcode exit_status errno signal signum retcode rc
    id ids uid gid pid pk key port version zip postcode phone hash checksum crc ret""".split()
)
"""Last words of names whose values are not amounts: 'too large by 3' would say nothing."""

STATUS_WORDS = frozenset({"status", "http"})


def is_code(node: ast.expr) -> bool:
    """Return whether an expression is named like a code or an identifier."""
    return bool(CODE_WORDS.intersection(_words(node)[-1:]))


def status_facts(node: ast.expr, actual: int, expected: int) -> Iterator[str]:
    """Yield a sentence that names two HTTP status codes, if an expression is named like one."""
    if not STATUS_WORDS.intersection(_words(node)):
        return
    names = [status_name(number) for number in (actual, expected)]
    if all(names):
        yield f"{actual} is {names[0]}, {expected} is {names[1]}"


def status_name(number: int) -> str:
    """Return the name of an HTTP status code, such as 'Not Found'; empty if it has none."""
    from http import HTTPStatus  # only for failures of web tests

    try:
        return HTTPStatus(number).phrase
    except ValueError:
        return ""


def compare_members(pair: Pair) -> Iterator[str]:
    """Yield which member of an enum a plain value is the value of, or that there is none."""
    for member, other in ((pair.actual, pair.expected), (pair.expected, pair.actual)):
        if not is_instance(member, enum.Enum) or is_instance(other, enum.Enum):
            continue
        kind = type(member)
        # From the `__dict__`, because an enum may override iteration.
        members: dict[Any, Any] = vars(kind).get("_value2member_map_") or {}
        if other in members:
            name = vars(members[other]).get("_name_")
            yield f"{pair.at}{other!r} is {kind.__name__}.{name}"
        elif not is_instance(member, enum.Flag):
            yield f"{pair.at}{kind.__name__} has no member {other!r}"
        return


def _words(node: ast.expr) -> list[str]:
    """Return the words of the last name in an expression, in lower case."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            pass
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            pass
        case ast.Call(func=function):
            return _words(function)
        case _:
            return []
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return [word.lower() for word in words]
