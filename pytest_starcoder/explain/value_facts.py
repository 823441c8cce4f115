"""Facts on values at fault: of the wrong type, out of range, or not as asserted."""

from __future__ import annotations

import ast
import enum
import json
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.equality import plain
from pytest_starcoder.explain.lookup_facts import empty_argument_facts
from pytest_starcoder.explain.mock_facts import unset_result_facts
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite, parameters, text_of
from pytest_starcoder.explain.similar_names import nearest_key
from pytest_starcoder.explain.table_differences import as_lists
from pytest_starcoder.explain.type_differences import FUNCTION_TYPES
from pytest_starcoder.explain.unittest_assertions import (
    arguments_of,
    unittest_assertion,
    unittest_facts,
)
from pytest_starcoder.source.callees import entered_function, is_instance, resolve_name
from pytest_starcoder.source.functions import Function, function_of
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.reprs import short_repr
from pytest_starcoder.text.tables import table_kind

Operation = ast.BinOp | ast.AugAssign | ast.Compare
OPERATIONS = (ast.BinOp, ast.AugAssign, ast.Compare)

OPERAND_MESSAGE = re.compile(
    r"unsupported operand|not supported between|can only concatenate|offset-naive"
    r"|can't multiply|must be str, not"
)
"""Messages of a TypeError about the operands of an operator."""

CALL_MESSAGE = re.compile(r"([^\W\d]\w*(?:\.\w+)*)\(\) ")
"""The name of a function, or of a class and its method, at the start of a message."""

LITERAL_MESSAGE = re.compile(r"invalid literal for int|could not convert string to float")

MIN_RECURSION = 10
"""Minimum number of frames of a function that is called recursive."""

TABLE_PACKAGES = ("numpy", "pandas")

TABLE_PREDICATES = ("array_equal", "array_equiv", "allclose")
"""Functions of NumPy that return whether two arrays are equal."""

EXPECTATION = re.compile(r"(?i)expected|wanted|desired")
"""What names of expected values contain."""


def type_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the operands, the signature or the value that a TypeError is about."""
    if isinstance(site.failing, OPERATIONS) or OPERAND_MESSAGE.search(site.message):
        operations = site.nodes(*OPERATIONS)
        if operations:
            yield from _operand_facts(site, operations[0])
            return
    if "argument" in site.message:
        yield from _signature_facts(site)
    for node in _type_suspects(site):
        if isinstance(node, ast.Call) and "unpack non-iterable NoneType" in site.message:
            yield f"{text_of(node)} returned None"
            return
        if _is_mentioned(site, node):
            yield site.describe(node)
            yield from site.origin(node)
            return


def _is_mentioned(site: RaiseSite, node: ast.expr) -> bool:
    """Return whether the message contains the type of a value that the code does not show."""
    value = site.value(node)
    if isinstance(node, ast.Constant) or value is UNKNOWN:
        return False
    # A message may contain the word 'function', but the function called here is not at fault.
    is_callable = is_instance(value, type, *FUNCTION_TYPES)
    if is_callable and any(node is call.func for call in site.nodes(ast.Call)):
        return False
    type_name = re.escape(type(value).__name__)
    return re.search(rf"\b{type_name}\b", site.message) is not None


def _operand_facts(site: RaiseSite, node: Operation) -> Iterator[str]:
    operands = []
    for operand in _operands(node):
        if isinstance(operand, ast.Constant):
            continue  # its value is visible in the code
        if site.value(operand) is not UNKNOWN:
            operands.append(operand)
    if operands:
        values = " and ".join(map(site.describe, operands))
        yield f"in {text_of(node)}, {values}"
    yield from unset_result_facts(site, _operands(node))
    for operand in operands:
        yield from site.origin(operand)


def _operands(node: Operation) -> tuple[ast.expr, ast.expr]:
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.AugAssign):
        return node.target, node.value
    return node.left, node.comparators[0]


def _type_suspects(site: RaiseSite) -> Iterator[ast.expr]:
    """Yield the expressions whose values may have the wrong type, the likeliest first."""
    # In `a, b = value`, the value may not be iterable.
    yield from site.unpacked()
    if isinstance(site.failing, ast.Name | ast.Attribute):  # iterated over or entered
        yield site.failing
    nodes = site.nodes(
        ast.Subscript, ast.Call, ast.For, ast.comprehension, ast.Starred, ast.UnaryOp, ast.withitem
    )
    for field in ("value", "func", "iter", "operand", "context_expr"):
        for node in nodes:
            if isinstance(getattr(node, field, None), ast.expr):
                yield getattr(node, field)
    for node in nodes:
        yield from getattr(node, "args", ())
        if isinstance(node, ast.Subscript):
            yield node.slice
    # The right side of `in` may not be a container.
    for comparison in site.nodes(ast.Compare):
        yield from comparison.comparators
    if isinstance(site.statement, ast.For):
        yield site.statement.iter


def _signature_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the parameters of a function that was called with wrong arguments."""
    names = [call.func for call in site.nodes(ast.Call)]
    match = CALL_MESSAGE.match(site.message)
    if match:
        names.append(ast.parse(match[1], mode="eval").body)
    scope = {**site.frame.f_globals, **site.locals}
    for name in names:
        called = resolve_name(name, scope)
        function = entered_function(called)
        if function is not None and f"{function.__code__.co_name}()" in site.message:
            owner = function.__code__.co_qualname.rpartition("<locals>.")[2]
            # A class is called by its own name, not by that of `__init__`.
            if is_instance(called, type):
                owner = text_of(name)
            yield f"the signature is {owner}({_parameter_list(function)})"
            return
        if is_instance(called, type) and "takes no arguments" in site.message:
            yield f"{text_of(name)} defines no __init__"
            return


def _parameter_list(function: types.FunctionType) -> str:
    """Return the parameters as written in the source, or else their names."""
    code = function.__code__
    node = function_of(code)
    if isinstance(node, Function):
        return ast.unparse(node.args)
    # A generated function, such as the `__init__` of a dataclass, has no source.
    names = list(code.co_varnames[: code.co_argcount])
    # Defaults belong to the last parameters.
    first_optional = len(names) - len(function.__defaults__ or ())
    optional = [f"{name}=…" for name in names[first_optional:]]
    return ", ".join([*names[:first_optional], *optional])


def division_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the divisor that is zero."""
    for node in site.nodes(ast.BinOp, ast.AugAssign, ast.Call):
        match node:
            case ast.Call(func=ast.Name(id="divmod"), args=[_, divisor]):
                pass
            case ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod(), right=divisor):
                pass
            case ast.AugAssign(op=ast.Div() | ast.FloorDiv() | ast.Mod(), value=divisor):
                pass
            case _:
                continue
        value = site.value(divisor)
        if type(value) in (int, float, bool) and value != 0:
            continue
        yield f"the divisor {text_of(divisor)} is 0"
        if isinstance(divisor, ast.Name):
            yield from site.origin(divisor)
        return


def value_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the value that a ValueError of Python's own is about."""
    if isinstance(site.exc, json.JSONDecodeError):
        yield from _position_facts(site.exc.doc, site.exc.pos)
        return
    if "to unpack" in site.message:
        sentences = list(_unpacking_facts(site))
        if sentences:
            yield from sentences
            return
    for call in site.nodes(ast.Call):
        sentences = list(_call_facts(site, call)) if call.args else []
        if sentences:
            yield from sentences
            return
    if "empty" in site.message:
        yield from empty_argument_facts(site)


def _unpacking_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the value that has too many or too few items to unpack."""
    for node in site.unpacked():
        container = plain(site.value(node))
        if type(container) in (list, tuple, dict, str):
            items = counted(len(container), "item")
            yield f"{text_of(node)} has {items}: {short_repr(container)}"
            yield from site.origin(node)
            return


def _call_facts(site: RaiseSite, call: ast.Call) -> Iterator[str]:
    """Yield facts on a call that does not accept its first argument."""
    argument = site.value(call.args[0])
    called = site.value(call.func)
    if is_instance(called, enum.EnumMeta) and "is not a valid" in site.message:
        # From the `__dict__`, because an enum may override iteration.
        values = list(vars(called).get("_value2member_map_") or {})
        near = nearest_key(argument, values)
        hint = f"; the nearest is {near}" if near else ""
        yield f"{text_of(call.func)} has {short_repr(values)}{hint}"
    elif isinstance(call.func, ast.Attribute) and call.func.attr in ("index", "remove"):
        holder = call.func.value
        for sentence in differences("in", argument, site.value(holder)):
            yield f"of {text_of(holder)}: {sentence}"
    elif LITERAL_MESSAGE.search(site.message) and argument == _quoted_value(site.message):
        yield from site.origin(call.args[0])


def _quoted_value(message: str) -> str:
    """Return the string literal at the end of a message; empty if there is none."""
    try:
        return str(ast.literal_eval(message.partition(": ")[2]))
    except (ValueError, SyntaxError):
        return ""


def unicode_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the text around the position that cannot be decoded or encoded."""
    if isinstance(site.exc, UnicodeDecodeError | UnicodeEncodeError):
        yield from _position_facts(site.exc.object, site.exc.start)


def _position_facts(text: str | bytes, index: int) -> Iterator[str]:
    if text:
        start = max(0, index - 8)
        around = short_repr(text[start : index + 8])
        yield f"at index {index} of {len(text)}, around {around}"
    else:
        yield "the text is empty"


def recursion_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the function that calls itself, and how its arguments change."""
    calls: dict[types.CodeType, list[types.FrameType]] = {}
    for entry in site.entries():
        frame = entry.tb_frame
        calls.setdefault(frame.f_code, []).append(frame)
    # The function with the most frames is the one that recurses.
    frames = max(calls.values(), key=len)
    if len(frames) < MIN_RECURSION:
        return
    code = frames[0].f_code
    yield f"{code.co_qualname.replace('.<locals>', '')} calls itself without end"
    yield from _progress_facts(parameters(code), frames[:3])


def _progress_facts(names: Iterable[str], frames: list[types.FrameType]) -> Iterator[str]:
    """Yield the values of the first argument that changes, or else one that stays the same."""
    constants = []
    for name in names:
        if name in ("self", "cls"):
            continue
        values = [frame.f_locals.get(name, UNKNOWN) for frame in frames]
        if any(value is UNKNOWN for value in values):
            continue
        texts = list(dict.fromkeys(map(short_repr, values)))
        if len(texts) > 1:
            yield f"{name} is {', then '.join(texts)}, and so on"
            return
        constants.append(f"{name} stays {texts[0]}")
    yield from constants[:1]


def iteration_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the iterator that had no next item."""
    for call in site.nodes(ast.Call):
        match call:
            case ast.Call(func=ast.Name(id="next"), args=[iterator]):
                # A generator expression on the line has just been created.
                more = "" if isinstance(iterator, ast.GeneratorExp) else "more "
                yield f"{text_of(iterator)} has no {more}items"
                return


def warning_facts(site: RaiseSite) -> Iterator[str]:
    """Yield a sentence on why a warning was raised as an exception."""
    if not is_instance(site.exc, Warning):
        return
    *_, last = site.entries()
    frame = last.tb_frame
    is_in_warnings = frame.f_globals.get("__name__") in ("warnings", "_py_warnings")
    calls = RaiseSite(site.exc, frame, last.tb_lineno, last.tb_lasti).nodes(ast.Call)
    names = [text_of(call.func).rpartition(".")[2] for call in calls]
    if is_in_warnings or {"warn", "warn_explicit"}.intersection(names):
        kind = type(site.exc).__name__
        yield f"a warning filter (-W, filterwarnings, simplefilter) turns {kind} into an error"


def assertion_facts(site: RaiseSite) -> Iterator[str]:
    """Yield sentences on how the two values of a unittest assertion differ."""
    yield from _table_facts(site)
    assertion = unittest_assertion(site.exc)
    if assertion is not None:
        yield from unittest_facts(assertion)


def _table_facts(site: RaiseSite) -> Iterator[str]:
    """Yield how two tables differ that a NumPy or pandas assertion or predicate compares."""
    tables = _asserted_tables(site) or _compared_tables(site)
    if tables:
        actual, expected = map(as_lists, tables) if len(set(map(type, tables))) > 1 else tables
        yield from differences("==", actual, expected)


def _asserted_tables(site: RaiseSite) -> tuple[Any, ...]:
    """Return the two values that a function such as `assert_frame_equal` was called with."""
    frame = table_assertion(site.exc)
    if frame is None:
        return ()
    names = frame.f_code.co_varnames[:2]
    tables = tuple(frame.f_locals.get(name) for name in names)
    if not any(map(table_kind, tables)):
        return ()
    is_swapped = _are_swapped(arguments_of(site, frame.f_code.co_name))
    return tables[::-1] if is_swapped else tables


def table_assertion(exc: BaseException) -> types.FrameType | None:
    """Return the frame of the assertion of NumPy or pandas that failed."""
    entry = exc.__traceback__
    while entry is not None:
        frame = entry.tb_frame
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in TABLE_PACKAGES and frame.f_code.co_name.startswith("assert"):
            return frame
        entry = entry.tb_next
    return None


def _compared_tables(site: RaiseSite) -> tuple[Any, ...]:
    """Return the two tables of a call such as `a.equals(b)` or `np.allclose(a, b)`."""
    for call in site.nodes(ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(attr="equals", value=actual), args=[expected]):
                pass
            case ast.Call(func=ast.Attribute(attr=attr), args=[actual, expected, *_]):
                if attr not in TABLE_PREDICATES:
                    continue
            case _:
                continue
        tables = site.value(actual), site.value(expected)
        if all(map(table_kind, tables)):
            return tables[::-1] if _are_swapped((actual, expected)) else tables
    return ()


def _are_swapped(arguments: Sequence[ast.expr]) -> bool:
    """Return whether only the first of two arguments has a name like `expected`."""
    return bool(arguments) and [_is_expectation(node) for node in arguments] == [True, False]


def _is_expectation(node: ast.expr) -> bool:
    return EXPECTATION.search(ast.unparse(node)) is not None
