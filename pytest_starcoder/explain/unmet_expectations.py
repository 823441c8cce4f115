"""Describes code that did not raise or warn, although `pytest.raises` or the like expects it."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite, text_of
from pytest_starcoder.source.callees import entered_function, resolve_name
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import safe_str, short_repr

UNMET = re.compile(r"DID NOT RAISE|DID NOT WARN|.* not (?:raised|triggered)(?: by .*)?$")
"""How messages of pytest and unittest begin."""

EMITTED = re.compile(r"Emitted warnings: \[(.+)\]\.?$")

BEHAVIOURS = {
    "raises": "raised nothing",
    "assertRaises": "raised nothing",
    "assertRaisesRegex": "raised nothing",
    "warns": "gave no such warning",
    "deprecated_call": "gave no such warning",
    "assertWarns": "gave no such warning",
    "assertWarnsRegex": "gave no such warning",
}
"""What the code did instead, by the name of the context manager."""

MAX_CODE = 120
"""Maximum length of the code that is quoted."""


@dataclass(frozen=True)
class UnmetExpectation:
    """An expectation that was not met.

    `expected` is its source, `behaviour` what the code did instead, `code` the statements that
    ran, up to `last_line`.
    """

    expected: str
    behaviour: str
    code: tuple[ast.AST, ...]
    last_line: int

    def describe(self) -> str:
        text = "; ".join(ast.unparse(node) for node in self.code)
        if any(hasattr(node, "body") for node in self.code):
            text = "the block"
        return f"{one_line(text, MAX_CODE)} {self.behaviour}, the test expects {self.expected}"


def unmet_expectation(site: RaiseSite) -> UnmetExpectation | None:
    """Return the expectation at a site that was not met; None for any other failure."""
    if not _is_unmet(site.exc):
        return None
    for call in site.nodes(ast.Call):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name not in BEHAVIOURS:
            continue
        code = _code_of(site.statement, call)
        if code:
            expected = text_of(call.args[0]) if call.args else "one"
            last_line = getattr(site.statement, "end_lineno", None) or 0
            return UnmetExpectation(expected, BEHAVIOURS[name], code, last_line)
    return None


def _is_unmet(exc: BaseException) -> bool:
    if type(exc).__module__ not in ("_pytest.outcomes", "builtins"):
        return False
    is_failure = type(exc).__name__ in ("Failed", "AssertionError")
    return is_failure and UNMET.match(safe_str(exc)) is not None


def _code_of(statement: ast.AST | None, call: ast.Call) -> tuple[ast.AST, ...]:
    """Return the body of a `with` block, or the call that `raises(Error, function, …)` makes."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        return tuple(statement.body)
    if len(call.args) > 1:
        return (ast.Call(call.args[1], call.args[2:], call.keywords),)
    return ()


def expectation_facts(site: RaiseSite) -> Iterator[str]:
    """Yield facts on the code that should have raised."""
    unmet = unmet_expectation(site)
    if unmet is None:
        return
    yield from _emitted(site)
    awaited: set[ast.AST] = set()
    for root in unmet.code:
        for node in ast.walk(root):
            if isinstance(node, ast.Await):
                awaited.add(node.value)
            elif isinstance(node, ast.Call) and node not in awaited:
                yield from _lazy_facts(site, node, is_statement=_is_statement(root, node))
        if isinstance(root, ast.Assign) and isinstance(root.targets[0], ast.Name):
            value = site.local_value(root.targets[0])
            if value is not UNKNOWN:
                yield f"{root.targets[0].id} is {short_repr(value)}"


def names_in_block(site: RaiseSite) -> Iterator[ast.expr]:
    """Yield the names read by the code that should have raised."""
    unmet = unmet_expectation(site)
    for root in unmet.code if unmet else ():
        for node in ast.walk(root):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield node


def _emitted(site: RaiseSite) -> Iterator[str]:
    """Yield a sentence on the warnings that were emitted instead of the expected one."""
    match = EMITTED.search(site.message)
    if match:
        yield f"the emitted warnings were {match[1]}"


def _is_statement(root: ast.AST, node: ast.Call) -> bool:
    """Return whether the result of a call is discarded."""
    return root is node or (isinstance(root, ast.Expr) and root.value is node)


def _lazy_facts(site: RaiseSite, call: ast.Call, *, is_statement: bool) -> Iterator[str]:
    """Yield a sentence on a function whose call does not run its body."""
    function = entered_function(resolve_name(call.func, {**site.frame.f_globals, **site.locals}))
    if function is None or not is_statement:
        return
    name = text_of(call.func)
    if function.__code__.co_flags & inspect.CO_COROUTINE:
        yield f"{name} is async, but the call is not awaited, so its body never ran"
    elif function.__code__.co_flags & inspect.CO_GENERATOR:
        yield f"{name} is a generator function: its body runs only when it is iterated over"


def block_of(frame: Frame) -> str:
    """Return the source of the block that the executed line of a frame opens; empty if none."""
    if not frame.statement.startswith(("with ", "async with ")):
        return ""
    lines = frame.source.splitlines()[frame.line - frame.first_line :]
    indent = _indentation(lines[0])
    block: list[str] = []
    for line in lines[1:]:
        if line.strip() and _indentation(line) <= indent:
            break
        block.append(line)
    return textwrap.dedent("\n".join(block))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
