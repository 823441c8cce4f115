"""Drafts of relations that may hold for all inputs: round trips, idempotence, letter case.

They are guesses, with the inputs of the docstrings' examples. Running the drafts decides which
relations hold and are worth a test.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.source.syntax import is_literal

# Inputs of a written property.
MIN_INPUTS = 2

# Inputs on which two functions are compared.
MAX_PAIR_INPUTS = 8

# Inputs of a relation of one function.
MAX_INPUTS = 40

# Pairs of functions that are tried.
MAX_PAIRS = 150

# Relations of a function `f` by the type of its inputs; the key ends the name of the test.
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


def property_drafts(targets: Sequence[Target], examples: Sequence[Draft]) -> Iterator[Draft]:
    """Yield relations of the functions that can be called with one argument."""
    inputs = _example_inputs(examples)
    every_input = list(chain(*inputs.values()))
    functions = []
    for target in targets:
        if target.is_plain_function and target.parameters:
            functions.append(target)
    remaining_pairs = MAX_PAIRS
    for function in functions:
        values = inputs.get(function)
        if not values:
            continue
        yield from _relations(function, _widened(values, every_input))
        if len(values) < MIN_INPUTS:
            continue
        # Pairs grow with the square of the functions of a module.
        partners = _partners(function, functions)[:remaining_pairs]
        remaining_pairs -= len(partners)
        for partner in partners:
            yield from _pair(function, partner, values[:MAX_PAIR_INPUTS])


def _partners(function: Target, functions: Sequence[Target]) -> list[Target]:
    """Return the other functions of the same file."""
    partners = []
    for partner in functions:
        if partner is not function and partner.path == function.path:
            partners.append(partner)
    return partners


def input_values(draft: Draft) -> list[str]:
    """Return the inputs of a relation, as source."""
    loop = ast.parse(draft.body[0]).body[0]
    assert isinstance(loop, ast.For)
    assert isinstance(loop.iter, ast.List)
    return list(map(ast.unparse, loop.iter.elts))


def with_values(draft: Draft, values: Sequence[str]) -> Draft:
    """Return the same relation for other inputs."""
    _, _, claim = draft.body[0].partition(":\n")
    if len(values) == 1:
        return replace(draft, body=(f"value = {values[0]}", claim.strip()))
    return replace(draft, body=(f"for value in [{', '.join(values)}]:\n{claim}",))


def _relations(function: Target, values: Sequence[str]) -> Iterator[Draft]:
    """Yield relations of one function."""
    name = function.name
    kind = type(ast.literal_eval(values[0]))
    for suffix, claim in RELATIONS.get(kind, {}).items():
        yield _draft(function, values, claim.replace("f(", f"{name}("), suffix)
    # A separator: another one must give the same result with the separator replaced.
    for parameter, default in function.defaults:
        if isinstance(default, str) and default:
            replaced = f'{name}(value).replace({default!r}, "~")'
            claim = f'{name}(value, {parameter}="~") == {replaced}'
            yield _draft(function, values, claim, f"with_another_{parameter}")


def _pair(function: Target, partner: Target, values: Sequence[str]) -> Iterator[Draft]:
    """Yield relations between two functions: a round trip, and one that changes nothing."""
    composed = f"{partner.name}({function.name}(value))"
    names = ", ".join(sorted((function.name, partner.name)))
    imports = (f"from {function.module} import {names}",)
    claims = {
        f"back_by_{partner.name}": f"{composed} == value",
        f"before_{partner.name}": f"{composed} == {partner.name}(value)",
    }
    for suffix, claim in claims.items():
        draft = _draft(function, values, claim, suffix)
        yield replace(draft, imports=imports)


def _draft(function: Target, values: Sequence[str], claim: str, suffix: str) -> Draft:
    return Draft(
        f"test_{function.test_stem}_{suffix}",
        (f"for value in [{', '.join(values)}]:\n    assert {claim}",),
        (f"from {function.module} import {function.name}",),
        Origin.PROPERTY,
        function,
        claim,
    )


def _widened(values: Sequence[str], every_input: Sequence[str]) -> list[str]:
    """Return all known inputs of the same type, and edge cases."""
    literals = list(map(ast.literal_eval, values))
    kind = type(literals[0])
    widened = []
    for value in (*values, *every_input):
        # Not isinstance: True is an int, and inputs of a boolean say little about numbers.
        if type(ast.literal_eval(value)) is kind:
            widened.append(value)
    widened += map(repr, _edge_cases(literals))
    unique = list(dict.fromkeys(widened))
    return unique[:MAX_INPUTS]


def _edge_cases(literals: Sequence[object]) -> list[object]:
    """Return inputs for which functions often go wrong: empty, accented, teens, negative."""
    match literals[0]:
        case str(text):
            capitals = [str(literal).upper() for literal in literals[:2]]
            return ["", *capitals, f"{text} \u00e9--1", " "]
        case int() if not isinstance(literals[0], bool):
            return [0, 11, 12, 13, 100, 111, -1]
    return []


def _example_inputs(examples: Sequence[Draft]) -> dict[Target, list[str]]:
    """Return the literals with which the examples of each target call it, as source."""
    inputs: dict[Target, list[str]] = {}
    for draft in examples:
        name = draft.target.name
        for node in ast.walk(ast.parse("\n".join(draft.body))):
            match node:
                case ast.Call(ast.Name(id=called), [argument], []) if called == name:
                    value = ast.unparse(argument)
                case _:
                    continue
            values = inputs.setdefault(draft.target, [])
            if is_literal(argument) and value not in values:
                values.append(value)
    return inputs
