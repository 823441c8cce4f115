"""Reads the values and the code of failed unittest assertions from the traceback."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from pytest_starcoder.explain.assertions import Comparison, describe_sides
from pytest_starcoder.explain.codes import is_code, status_facts
from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.equality import plain
from pytest_starcoder.explain.raise_site import RaiseSite
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

OPERATORS = {
    "assertEqual": "==",
    "assertAlmostEqual": "==",
    "assertSequenceEqual": "==",
    "assertListEqual": "==",
    "assertTupleEqual": "==",
    "assertDictEqual": "==",
    "assertSetEqual": "==",
    "assertMultiLineEqual": "==",
    "assertNotEqual": "!=",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertLess": "<",
    "assertLessEqual": "<=",
    "assertGreater": ">",
    "assertGreaterEqual": ">=",
}

TRUTHS = {"assertTrue": "true", "assertFalse": "false"}


class UnittestAssertion(NamedTuple):
    """A failed assertion; the actual value comes first if it is known which one that is.

    `site` is where the test called it; `arguments` are the expressions there, empty if unknown.
    """

    name: str
    values: tuple[Any, ...]
    arguments: tuple[ast.expr, ...]
    note: str
    site: RaiseSite


def unittest_assertion(exc: BaseException) -> UnittestAssertion | None:
    """Return the unittest assertion that raised an exception; None if there is none."""
    caller = None
    entry = exc.__traceback__
    # unittest's own frames are on the traceback, with the values as arguments.
    while entry is not None:
        frame = entry.tb_frame
        name = frame.f_code.co_name
        if caller and name.startswith("assert") and _is_of_unittest(frame.f_globals):
            site = RaiseSite(exc, caller.tb_frame, caller.tb_lineno, caller.tb_lasti)
            number = 1 if name in TRUTHS else 2
            names = frame.f_code.co_varnames[1 : 1 + number]
            values = tuple(frame.f_locals.get(name) for name in names)
            note = _note(name, frame.f_locals.get("msg"))
            arguments = arguments_of(site, name, number)
            return _ordered(UnittestAssertion(name, values, arguments, note, site))
        caller = entry
        entry = entry.tb_next
    return None


def _is_of_unittest(scope: dict[str, Any]) -> bool:
    return scope.get("__name__") == "unittest.case"


def _note(name: str, message: object) -> str:
    """Return the test's own message."""
    if type(message) is not str:
        return ""
    # These assertions have put their own text before it.
    return message.partition(" : ")[2] if name in (*TRUTHS, "assertNotEqual") else message


def _ordered(assertion: UnittestAssertion) -> UnittestAssertion:
    """Return an assertion with the actual value first."""
    arguments = assertion.arguments
    is_equality = OPERATORS.get(assertion.name) == "=="
    if is_equality and arguments and _is_expected_first(*arguments):
        values = assertion.values[::-1]
        return assertion._replace(values=values, arguments=arguments[::-1])
    return assertion


def _is_expected_first(first: ast.expr, second: ast.expr) -> bool:
    """Return whether a test passes a literal first, and then an expression with a name."""
    return _has_name(second) and not _has_name(first)


def _has_name(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) for part in ast.walk(node))


def arguments_of(site: RaiseSite, assertion: str, number: int = 2) -> tuple[ast.expr, ...]:
    """Return the first arguments of the call of an assertion; empty if it is not found."""
    for call in site.nodes(ast.Call):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        starred = any(isinstance(argument, ast.Starred) for argument in call.args[:number])
        if name == assertion and len(call.args) >= number and not starred:
            return tuple(call.args[:number])
    return ()


def unittest_facts(assertion: UnittestAssertion) -> Iterator[str]:
    """Yield how the two values differ."""
    op = OPERATORS.get(assertion.name)
    if op is None:
        return
    actual, expected = assertion.values
    if type(plain(actual)) is type(plain(expected)) is int:
        for argument in assertion.arguments:
            if is_code(argument):
                yield from status_facts(argument, actual, expected)
                return
    yield from differences(op, actual, expected)


def describe_unittest(assertion: UnittestAssertion) -> str:
    """Return one sentence on the actual and the expected value; empty if they are unknown.

    unittest itself shortens long values in the middle: 'Item([15 chars]tity=-1'.
    """
    if not assertion.arguments:
        return ""
    values = [short_repr(value) for value in assertion.values]
    sentence = ""
    op = OPERATORS.get(assertion.name, "")
    if assertion.name in TRUTHS:
        code = one_line(ast.unparse(assertion.arguments[0]), 120)
        sentence = f"{code} is {values[0]}, the test expects it to be {TRUTHS[assertion.name]}"
    elif op and assertion.name != "assertAlmostEqual":  # its message has the tolerance
        first, second = assertion.arguments
        # The operator is given by the second argument of `describe_sides`.
        compare = ast.Compare(first, [ast.Eq()], [second])
        sentence = describe_sides(compare, Comparison(op, values[0], values[1]))
    note = one_line(assertion.note, 100)
    return f"{sentence} ({note})" if sentence and note else sentence
