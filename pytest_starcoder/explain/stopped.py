"""Describes where Ctrl-C or a timeout stopped a test: in which loop, with which values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.source.functions import function_of
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import safe_str, short_repr

MAX_LOOPS = 2
"""Maximum number of loops that are described, the innermost first."""

MAX_VALUES = 4
"""Maximum number of variables that are shown for one loop."""

MAX_VALUE = 60
"""Maximum number of characters of a value."""

Loop = ast.For | ast.AsyncFor | ast.While


def was_stopped(exc: BaseException) -> bool:
    """Return whether Ctrl-C or pytest-timeout, which calls `pytest.fail`, ended a test."""
    if isinstance(exc, KeyboardInterrupt):
        return True
    return type(exc).__name__ == "Failed" and safe_str(exc).startswith("Timeout ")


def describe_loops(
    places: Sequence[tuple[FrameType, int]], path_of: Callable[[str], str]
) -> Iterator[str]:
    """Yield sentences on the loops around `places`, the innermost one first.

    `places` are frames with their lines, the innermost frame last.
    """
    yield from islice(_sentences(places, path_of), MAX_LOOPS)


def _sentences(
    places: Sequence[tuple[FrameType, int]], path_of: Callable[[str], str]
) -> Iterator[str]:
    for frame, line in reversed(places):
        code = frame.f_code
        loop = _innermost_loop(code, line)
        if loop is None:
            continue
        head = one_line(_head(loop), 80)
        sentence = f"stopped in the loop `{head}` ({path_of(code.co_filename)}:{loop.lineno})"
        values = list(islice(_values(loop, frame.f_locals), MAX_VALUES))
        if values:
            sentence += f" with {', '.join(values)}"
        yield sentence


def _innermost_loop(code: CodeType, line: int) -> Loop | None:
    """Return the innermost loop of a function around a line; None if there is none."""
    function = function_of(code)
    loops: list[Loop] = []
    for node in ast.walk(function) if function is not None else ():
        if isinstance(node, Loop) and node.lineno <= line <= (node.end_lineno or 0):
            loops.append(node)
    return max(loops, key=lambda loop: loop.lineno, default=None)


def _head(loop: Loop) -> str:
    if isinstance(loop, ast.While):
        return f"while {ast.unparse(loop.test)}"
    return f"for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"


def _values(loop: Loop, variables: dict[str, Any]) -> Iterator[str]:
    """Yield the values of the variables in the head of a loop, then of those that its body sets."""
    names: dict[str, None] = {}
    head = [loop.test] if isinstance(loop, ast.While) else [loop.target, loop.iter]
    for part in head:
        names |= dict.fromkeys(_names(ast.walk(part)))
    names |= dict.fromkeys(_names(ast.walk(loop), ast.Store))
    for name in names:
        if name in variables and not callable(variables[name]):
            yield f"{name} = {one_line(short_repr(variables[name]), MAX_VALUE)}"


def _names(
    nodes: Iterable[ast.AST], context: type[ast.expr_context] = ast.expr_context
) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            yield node.id
