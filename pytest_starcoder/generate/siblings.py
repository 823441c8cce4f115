"""What functions may be to each other and to their inputs: the way back, done after once. Guesses, which are then run.

Inputs are those that docstrings show. A property is a draft where it is said of
at least two inputs, some of which the function changes; whether it holds, and
whether that says anything, running it decides.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_starcoder.generate.draft import Draft, Kind, Origin, Target
from pytest_starcoder.source.syntax import is_literal

FEWEST = 2
"""Inputs that a property is said of."""

MOST = 8

WIDEST = 40
"""Inputs of a property at the most."""

PAIRS = 150
"""Pairs of functions that are tried at the most."""


def properties_of(targets: Sequence[Target], examples: Sequence[Draft]) -> Iterator[Draft]:
    """What may hold for all inputs of functions that can be called with one argument.

    Each is said of the inputs of all examples of that type, and of some at the edges.
    """
    inputs = _inputs(examples)
    alone = [
        target
        for target in targets
        if target.kind is Kind.FUNCTION
        and "." not in target.name
        and target.parameters
        and not target.awaits
    ]
    everything = list(dict.fromkeys(value for values in inputs.values() for value in values))
    pairs = 0
    for first in alone:
        own = inputs.get(first, [])
        if not own:
            continue
        wide = _widened(own, everything)
        for name, claim in RELATIONS.get(type(ast.literal_eval(own[0])), {}).items():
            yield _property(first, first, wide, claim.replace("f(", f"{first.name}("), name)
        for parameter, default in first.defaults:
            if isinstance(default, str) and default:
                claim = f'{first.name}(value, {parameter}="~") == {first.name}(value).replace({default!r}, "~")'
                yield _property(first, first, wide, claim, f"with_another_{parameter}")
        for second in alone:
            if second is first or second.path != first.path or pairs >= PAIRS or len(own) < FEWEST:
                continue
            pairs += 1
            back = f"{second.name}({first.name}(value))"
            yield _property(first, second, own[:MOST], f"{back} == value", f"back_by_{second.name}")
            yield _property(
                first,
                second,
                own[:MOST],
                f"{back} == {second.name}(value)",
                f"before_{second.name}",
            )


RELATIONS: Mapping[type, Mapping[str, str]] = {
    str: {
        "twice": "f(f(value)) == f(value)",
        "whatever_the_case": "f(value.upper()).lower() == f(value).lower()",
        "of_capitals": "f(value.upper()) == f(value)",
        "of_small_letters": "f(value.lower()) == f(value)",
        "changes_the_case_alone": "f(value).lower() == value.lower()",
        "keeps_the_length": "len(f(value)) == len(value)",
        "of_spaces_around": 'f(f" {value} ") == f(value)',
    },
    int: {
        "of_the_negative": "f(-value) == f(value)",
        "of_a_hundred_more": "f(abs(value) + 100) == f(abs(value))",
        "ends_with_its_number": "str(value) in str(f(value))",
    },
    float: {"of_the_negative": "f(-value) == f(value)"},
    list: {
        "twice": "f(f(value)) == f(value)",
        "in_any_order": "f(value[::-1]) == f(value)",
        "keeps_the_length": "len(f(value)) == len(value)",
    },
    bytes: {"twice": "f(f(value)) == f(value)"},
}
"""What a function may do with its own inputs, by the type of those."""


def values_of(property_: Draft) -> list[str]:
    """The inputs that a property is said of, as text."""
    loop = ast.parse(property_.body[0]).body[0]
    assert isinstance(loop, ast.For)
    assert isinstance(loop.iter, ast.List)
    return [ast.unparse(value) for value in loop.iter.elts]


def with_values(property_: Draft, values: Sequence[str]) -> Draft:
    """The same property said of other inputs."""
    head, _, claim = property_.body[0].partition(":\n")
    assert head.startswith("for value in [")
    if len(values) == 1:
        return replace(property_, body=(f"value = {values[0]}", claim.strip()))
    return replace(property_, body=(f"for value in [{', '.join(values)}]:\n{claim}",))


def _widened(own: Sequence[str], everything: Sequence[str]) -> list[str]:
    """Inputs of the same type: all that are known, and simple ones at the edges."""
    kind = type(ast.literal_eval(own[0]))
    alike = [value for value in (*own, *everything) if type(ast.literal_eval(value)) is kind]
    edges: list[object] = []
    if kind is str:
        texts = [ast.literal_eval(value) for value in own]
        edges = [
            "",
            *(text.upper() for text in texts[:2]),
            *(f"{text} \u00e9--1" for text in texts[:1]),
            " ",
        ]
    elif kind is int:
        edges = [0, 11, 12, 13, 100, 111, -1]
    return list(dict.fromkeys([*alike, *map(repr, edges)]))[:WIDEST]


def _property(first: Target, second: Target, values: Sequence[str], claim: str, name: str) -> Draft:
    imported = sorted({first.name, second.name})
    shown = ", ".join(values)
    body = (f"for value in [{shown}]:\n    assert {claim}",)
    return Draft(
        f"test_{first.stem}_{name}",
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
                    case ast.Call(ast.Name(name), [argument], []) if (
                        name == draft.target.name and is_literal(argument)
                    ):
                        found.setdefault(draft.target, {})[ast.unparse(argument)] = None
    return {target: list(values) for target, values in found.items()}
