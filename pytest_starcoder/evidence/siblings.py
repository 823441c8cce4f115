"""What functions of one module may be to each other: the way back, or done after once. Guesses, which are then run.

Inputs are those that docstrings show. A property is a draft where it is said of
at least two inputs, some of which the function changes; whether it holds, and
whether that says anything, running it decides.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_starcoder.values.draft import Draft, Origin, Target

FEWEST = 2
"""Inputs that a property is said of."""

MOST = 8

PAIRS = 150
"""Pairs of functions that are tried at the most."""


def properties_of(targets: Sequence[Target], examples: Sequence[Draft]) -> Iterator[Draft]:
    """Round trips and idempotence of functions with one parameter, over the inputs of `examples`."""
    inputs = _inputs(examples)
    alone = [target for target in targets if "." not in target.name and len(target.parameters) >= 1]
    pairs = 0
    for first in alone:
        values = inputs.get(first, [])
        if len(values) < FEWEST:
            continue
        yield _property(first, first, values, f"{first.name}({first.name}(value)) == {first.name}(value)", "twice")
        for second in alone:
            if second is first or second.path != first.path or pairs >= PAIRS:
                continue
            pairs += 1
            back = f"{second.name}({first.name}(value))"
            yield _property(first, second, values, f"{back} == value", f"back_by_{second.name}")
            yield _property(first, second, values, f"{back} == {second.name}(value)", f"before_{second.name}")


def _property(first: Target, second: Target, values: Sequence[str], claim: str, name: str) -> Draft:
    imported = sorted({first.name, second.name})
    shown = ", ".join(values)
    body = (f"for value in [{shown}]:\n    assert {claim}",)
    return Draft(
        f"test_{first.name}_{name}",
        body,
        (f"from {first.module} import {', '.join(imported)}",),
        Origin.SIBLING,
        first,
        claim,
    )


def _inputs(examples: Sequence[Draft]) -> Mapping[Target, list[str]]:
    """The literals with which the examples of each target call it, as text, each once."""
    found: dict[Target, dict[str, None]] = {}
    for draft in examples:
        for statement in draft.body:
            for node in ast.walk(ast.parse(statement)):
                match node:
                    case ast.Call(ast.Name(name), [argument], []) if name == draft.target.name and _is_literal(
                        argument
                    ):
                        found.setdefault(draft.target, {})[ast.unparse(argument)] = None
    return {target: list(values)[:MOST] for target, values in found.items()}


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return False
    return True
