"""Drafts from type hints, run by Hypothesis: any input of the annotated types gives a result
of the annotated type.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec

from pytest_starcoder.generate.docstrings import documented_exceptions
from pytest_starcoder.generate.draft import Draft, Origin, Target

# The decorator that makes the inputs the same every time, wherever the test is.
SEED = "@seed(1)"

# Inputs that a written test draws.
EXAMPLES = 25

# Inputs that a draft draws while it is judged: a test that fails sometimes must not pass.
JUDGED_EXAMPLES = 100

_STRATEGIES = {
    "str": "st.text()",
    "int": "st.integers()",
    "float": "st.floats(allow_nan=False, allow_infinity=False)",
    "bool": "st.booleans()",
    "bytes": "st.binary()",
}
_COLLECTIONS = {
    **dict.fromkeys(("list", "List", "Sequence", "Iterable", "Collection"), "st.lists"),
    **dict.fromkeys(("set", "Set", "AbstractSet"), "st.sets"),
    **dict.fromkeys(("frozenset", "FrozenSet"), "st.frozensets"),
    **dict.fromkeys(("dict", "Dict", "Mapping"), "st.dictionaries"),
}
_RESULT_TYPES = {
    "str": "str",
    "int": "int",
    "bool": "bool",
    "bytes": "bytes",
    "list": "list",
    "dict": "dict",
    "set": "set",
    "tuple": "tuple",
    "frozenset": "frozenset",
    "float": "float | int",  # an int is a valid result by the rules of type checkers
    "List": "list",
    "Dict": "dict",
    "Set": "set",
    "Tuple": "tuple",
}


def type_hint_drafts(targets: Sequence[Target], names: Collection[str] = ()) -> Iterator[Draft]:
    """Yield a test for each function with enough type hints; none without Hypothesis.

    `names` of the targets' module may be classes.
    """
    if find_spec("hypothesis") is None:
        return
    for target in targets:
        if target.is_plain_function:
            strategies = _parameter_strategies(target)
            result_type = _result_type(_parsed(target.returns), names)
            if strategies and result_type:
                yield _draft(target, strategies, result_type, names)


def judged_version(draft: Draft) -> Draft:
    """Return the same test with as many inputs as it is judged by."""
    _, _, strategies = draft.decorators
    return replace(draft, decorators=(SEED, _settings(JUDGED_EXAMPLES), strategies))


def _settings(examples: int) -> str:
    # No database: a failing input of an earlier run would be tried first.
    return f"@settings(database=None, deadline=None, max_examples={examples})"


def _draft(
    target: Target, strategies: dict[str, str], result_type: str, names: Collection[str]
) -> Draft:
    call = bound_call(target, strategies)
    claim = f"assert isinstance({call}, {result_type})"
    if result_type == "None":
        claim = f"assert {call} is None"
    imports = ["from hypothesis import given, seed, settings"]
    imports += ["from hypothesis import strategies as st", ""]
    exceptions = ", ".join(documented_exceptions(target))
    if exceptions:
        claim = f"with contextlib.suppress({exceptions}):\n    {claim}"
        imports = ["import contextlib", "", *imports]
    imported = [target.name]
    for name in result_type.split(" | "):
        if name in names and name not in imported:
            imported.append(name)
    imports.append(f"from {target.module} import {', '.join(imported)}")
    arguments = [f"{name}={strategy}" for name, strategy in strategies.items()]
    given = f"@given({', '.join(arguments)})"
    return Draft(
        f"test_{target.test_stem}_of_any_input",
        (claim,),
        tuple(imports),
        Origin.TYPE_HINT,
        target,
        _signature(target, strategies),
        tuple(strategies),
        (SEED, _settings(EXAMPLES), given),
    )


def _signature(target: Target, parameters: Collection[str]) -> str:
    """Return the signature of a target with some of its parameters."""
    hints = []
    for name, annotation in target.parameters:
        if name in parameters:
            hints.append(f"{name}: {annotation}")
    return f"{target.name}({', '.join(hints)}) -> {target.returns}"


def bound_call(target: Target, arguments: Collection[str]) -> str:
    """Return the call that passes each argument by its name."""
    passed = ", ".join(f"{name}={name}" for name in arguments)
    return f"{target.name}({passed})"


def _parameter_strategies(target: Target) -> dict[str, str]:
    """Return a strategy for each parameter; empty if a required one has none."""
    optional = dict(target.defaults)
    strategies: dict[str, str] = {}
    for name, annotation in target.parameters:
        strategy = _strategy(_parsed(annotation))
        if strategy:
            strategies[name] = strategy
        elif name not in optional:
            return {}  # the function cannot be called
    return strategies


def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _strategy(node: ast.expr | None) -> str:
    """Return the strategy for an annotation; empty if none is known."""
    match node:
        case ast.Constant(value=None):
            return "st.none()"
        case ast.Name(id=name):
            return _STRATEGIES.get(name, "")
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _combined([left, right], "", " | ", "")
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic_strategy(name, inner)
    return ""


def _generic_strategy(name: str, inner: ast.expr) -> str:
    """Return the strategy for `name[inner]`."""
    parts = [inner]
    if isinstance(inner, ast.Tuple):
        parts = inner.elts
    if name == "Optional":
        return _combined(parts, "st.none() | ", " | ", "")
    if name in ("tuple", "Tuple"):
        match parts:
            # tuple[int, ...] has any length.
            case [item, ast.Constant(value=value)] if value is ...:
                return _combined([item], "st.lists(", "", ", max_size=5).map(tuple)")
        return _combined(parts, "st.tuples(", ", ", ")")
    collection = _COLLECTIONS.get(name, "")
    # Keys and values, or items.
    expected = 2 if collection == "st.dictionaries" else 1
    if not collection or len(parts) != expected:
        return ""
    # Small collections keep the tests fast.
    return _combined(parts, f"{collection}(", ", ", ", max_size=5)")


def _combined(nodes: Sequence[ast.expr], start: str, separator: str, end: str) -> str:
    """Return the strategies of several annotations as one; empty if one has none."""
    strategies = list(map(_strategy, nodes))
    if not all(strategies):
        return ""
    return start + separator.join(strategies) + end


def _result_type(node: ast.expr | None, names: Collection[str]) -> str:
    """Return the second argument of `isinstance` for an annotation; empty if there is none."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            if name in _RESULT_TYPES or name not in names:
                return _RESULT_TYPES.get(name, "")
            return name
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            types = [_result_type(left, names), _result_type(right, names)]
            if all(types):
                return " | ".join(types)
    return ""
