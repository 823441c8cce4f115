"""What type hints promise, as tests of Hypothesis: whatever a function takes, it gives what it says it returns."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec

from pytest_starcoder.generate.docstrings import exceptions_of
from pytest_starcoder.generate.draft import Draft, Kind, Origin, Target

DRAWS = ("@seed(1)", "@settings(database=None, deadline=None, max_examples={})")
"""How such a test draws: the same inputs every time and wherever it stands, and none is kept."""

DRAWN, THOROUGH = 25, 100
"""Inputs of a test, and of the same one when it is judged: what fails sometimes shall not pass."""

_SIMPLE = {
    "str": "st.text()",
    "int": "st.integers()",
    "float": "st.floats(allow_nan=False, allow_infinity=False)",
    "bool": "st.booleans()",
    "bytes": "st.binary()",
    "None": "st.none()",
}
_SEVERAL = {
    "st.lists": ("list", "List", "Sequence", "Iterable", "Collection"),
    "st.sets": ("set", "Set", "AbstractSet"),
    "st.frozensets": ("frozenset", "FrozenSet"),
    "st.dictionaries": ("dict", "Dict", "Mapping"),
}
_CHECKED = {
    **{
        name: name
        for name in ("str", "int", "bool", "bytes", "list", "dict", "set", "tuple", "frozenset")
    },
    "float": "float | int",
    "List": "list",
    "Dict": "dict",
    "Set": "set",
    "Tuple": "tuple",
    "None": "None",
}


def smoke_of(targets: Sequence[Target], names: Collection[str] = ()) -> Iterator[Draft]:
    """A test for each function whose type hints say what it takes and gives; none where Hypothesis is not installed.

    `names` are those of the targets' module that may be classes.
    """
    if find_spec("hypothesis") is None:
        return
    for target in targets:
        if target.kind is not Kind.FUNCTION or "." in target.name or target.awaits:
            continue
        optional = dict(target.defaults)
        given = {name: _strategy(annotation) for name, annotation in target.parameters}
        given = {
            name: strategy for name, strategy in given.items() if strategy or name not in optional
        }
        checked = _check(_parsed(target.returns), names)
        if not given or not all(given.values()) or not checked:
            continue
        call = f"{target.name}({', '.join(f'{name}={name}' for name in given)})"
        claim = (
            f"assert {call} is None"
            if checked == "None"
            else f"assert isinstance({call}, {checked})"
        )
        raised = exceptions_of(target)
        body = f"with contextlib.suppress({', '.join(raised)}):\n    {claim}" if raised else claim
        hints = ", ".join(
            f"{name}: {annotation}" for name, annotation in target.parameters if name in given
        )
        yield Draft(
            f"test_{target.stem}_of_any_input",
            (body,),
            (
                *(("import contextlib", "") if raised else ()),
                *(
                    "from hypothesis import given, seed, settings",
                    "from hypothesis import strategies as st",
                    "",
                ),
                f"from {target.module} import {', '.join([target.name, *_among(checked, names)])}",
            ),
            Origin.SMOKE,
            target,
            f"{target.name}({hints}) -> {target.returns}",
            tuple(given),
            (
                *_draws(DRAWN),
                f"@given({', '.join(f'{name}={strategy}' for name, strategy in given.items())})",
            ),
        )


def thorough(draft: Draft) -> Draft:
    """The same test with as many inputs as it is judged by."""
    return replace(draft, decorators=(*_draws(THOROUGH), *draft.decorators[len(DRAWS) :]))


def _draws(inputs: int) -> tuple[str, ...]:
    return tuple(decorator.format(inputs) for decorator in DRAWS)


def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _strategy(annotation: str) -> str:
    return _drawn(_parsed(annotation))


def _drawn(node: ast.expr | None) -> str:
    """The strategy for an annotation; empty where none is known."""
    match node:
        case ast.Constant(value=None):
            return _SIMPLE["None"]
        case ast.Name(id=name):
            return _SIMPLE.get(name, "")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _all_of((left, right), "{0} | {1}")
        case ast.Subscript(
            value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner
        ):
            return _all_of((inner,), "st.none() | {0}")
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            if name in ("tuple", "Tuple"):
                return _tuple(inner)
            strategy = next((strategy for strategy, names in _SEVERAL.items() if name in names), "")
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            wanted = 2 if strategy == "st.dictionaries" else 1
            return (
                _all_of(parts, f"{strategy}({{0}}, max_size=5)")
                if strategy and len(parts) == wanted
                else ""
            )
    return ""


def _tuple(inner: ast.expr) -> str:
    match inner:
        case ast.Tuple(elts=[item, ast.Constant(value=value)]) if value is ...:
            return _all_of((item,), "st.lists({0}, max_size=5).map(tuple)")
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    return _all_of(parts, "st.tuples({0})")


def _all_of(nodes: Sequence[ast.expr], form: str) -> str:
    drawn = [_drawn(node) for node in nodes]
    if not all(drawn):
        return ""
    return form.format(*drawn) if "{1}" in form else form.format(", ".join(drawn))


def _among(checked: str, names: Collection[str]) -> list[str]:
    return [name for name in dict.fromkeys(checked.split(" | ")) if name in names]


def _check(node: ast.expr | None, names: Collection[str]) -> str:
    """What `isinstance` is to say of what a function returns; empty where nothing simple can be said."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return _CHECKED.get(name, name if name in names else "")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            one, other = _check(left, names), _check(right, names)
            return f"{one} | {other}" if one and other else ""
    return ""
