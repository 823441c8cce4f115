"""Describes failed assertions on mocks: which argument differs, and what was called instead."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.equality import Comparer, attributes
from pytest_starcoder.explain.mock_calls import (
    MockCall,
    as_call,
    bound_call,
    calls_of,
    is_call,
    is_mock,
)
from pytest_starcoder.explain.raise_site import RaiseSite, text_of

MAX_COMPARED = 50
"""Maximum number of calls that are compared with the expected one."""

MAX_CALLS = 3
"""Maximum number of calls that are listed."""

CALL_ATTRIBUTES = ("called", "call_count", "call_args", "call_args_list", "await_count", "awaited")
"""Attributes that tell a test how a mock was called."""


def mock_facts(site: RaiseSite) -> Iterator[str]:
    """Yield facts on a failed assertion on a mock or one of its call attributes."""
    for entry in site.entries():
        frame = entry.tb_frame
        is_in_mock = frame.f_globals.get("__name__") == "unittest.mock"
        if is_in_mock and frame.f_code.co_name.startswith("assert_"):
            mock = frame.f_locals.get("self")
            if is_mock(mock):
                yield from _assertion_facts(site, frame.f_code.co_name, mock, frame.f_locals)
                return
    for node in site.nodes(ast.Attribute):
        mock = mock_at(site, node.value)
        if node.attr in CALL_ATTRIBUTES and is_mock(mock):
            yield from _call_facts(site, mock, node.value)
            return


def mock_at(site: RaiseSite, node: ast.expr) -> object:
    """Return the mock that an expression refers to, without creating one; None if there is none."""
    value = site.value(node)
    if is_mock(value) or not isinstance(node, ast.Attribute):
        return value
    owner = mock_at(site, node.value)
    return attributes(owner).get("_mock_children", {}).get(node.attr)


def _assertion_facts(
    site: RaiseSite, name: str, mock: object, variables: dict[str, Any]
) -> Iterator[str]:
    is_await = "await" in name
    calls = calls_of(mock, "await_args_list" if is_await else "call_args_list")
    if is_await and not calls:
        for call in calls_of(mock, "call_args_list")[:1]:
            yield f"the mock was called, but not awaited: {call}"
            return
    holder = _holder(site, name)
    if name == "assert_has_calls":
        yield from _sequence_facts(mock, calls, variables)
    elif not calls:
        yield from _call_facts(site, mock, holder)
    elif name.endswith("_with") and not _has_wrong_count(name, calls):
        actual, expected = calls[-1], _expected_call(variables)
        yield from differences("==", bound_call(mock, actual), bound_call(mock, expected))
    elif name.startswith("assert_any"):
        expected = bound_call(mock, _expected_call(variables))
        compared = [bound_call(mock, call) for call in calls[:MAX_COMPARED]]
        comparisons = [differences("==", call, expected) for call in compared]
        for sentence in min(comparisons, key=len):
            yield f"in the closest call, {sentence}"


def _sequence_facts(
    mock: object, calls: list[MockCall], variables: dict[str, Any]
) -> Iterator[str]:
    """Yield the first expected call that was not made."""
    expected = [as_call(call) for call in variables.get("calls", ()) if is_call(call)]
    # Calls of the mock's attributes have names.
    if any(call.name for call in expected):
        calls = calls_of(mock, "mock_calls")
    comparer = Comparer()
    for call in expected:
        if all(comparer.equal(other, call) is False for other in calls):
            yield f"{call} is not among the calls"
            return
    if not variables.get("any_order"):
        yield "all of these calls were made, but not consecutively in this order"


def _has_wrong_count(name: str, calls: list[MockCall]) -> bool:
    return "once" in name and len(calls) != 1


def _expected_call(variables: dict[str, Any]) -> MockCall:
    return MockCall("", tuple(variables.get("args", ())), dict(variables.get("kwargs", {})))


def _holder(site: RaiseSite, assertion: str) -> ast.expr | None:
    """Return the expression for the mock that an assertion is about."""
    for node in site.nodes(ast.Attribute):
        if node.attr == assertion:
            holder: ast.expr = node.value
            return holder
    return None


def _call_facts(site: RaiseSite, mock: object, holder: ast.expr | None) -> Iterator[str]:
    """Yield the calls of a mock; if there are none, those of the mock that it belongs to."""
    calls = calls_of(mock, "call_args_list")
    if calls:
        yield f"the calls were {_listing(calls)}"
        return
    if not isinstance(holder, ast.Attribute):
        return
    owner = mock_at(site, holder.value)
    if not is_mock(owner):
        return
    owner_name = text_of(holder.value)
    calls = calls_of(owner, "mock_calls")
    if calls:
        yield f"{text_of(holder)} was never called; calls on {owner_name}: {_listing(calls)}"
    else:
        yield f"nothing was called on {owner_name}"


def _listing(calls: list[MockCall]) -> str:
    more = f" and {len(calls) - MAX_CALLS} more" if len(calls) > MAX_CALLS else ""
    return ", ".join(map(str, calls[:MAX_CALLS])) + more


def unset_result_facts(site: RaiseSite, nodes: Iterable[ast.expr]) -> Iterator[str]:
    """Yield a sentence on calls that return a mock because no `return_value` was set."""
    for node in islice(nodes, MAX_CALLS):
        if isinstance(node, ast.Call) and is_mock(mock_at(site, node.func)):
            name = text_of(node.func)
            yield f"{text_of(node)} is a mock: was the return_value of {name} set?"
