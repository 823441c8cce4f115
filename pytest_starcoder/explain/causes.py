"""Failures that share a cause, put together: one question a cause, not one a test."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.text.display import natural

PHASES = ("collect", "setup", "call", "teardown")
"""In the order in which they come."""


def causes(failures: Iterable[Failure]) -> list[Cause]:
    """The causes of `failures`: the one with most tests first, else those of one file one after another.

    The order does not depend on which failure came first: under xdist that is chance.
    """
    groups: dict[tuple[object, ...], list[Failure]] = {}
    for failure in sorted(
        failures, key=lambda failure: (natural(failure.nodeid), PHASES.index(failure.phase))
    ):
        groups.setdefault(key_of(failure), []).append(failure)
    return largest_first(Cause(tuple(group)) for group in groups.values())


def largest_first(causes: Iterable[Cause]) -> list[Cause]:
    """`causes` in the order in which they are told."""
    return sorted(causes, key=lambda cause: (-len(cause.nodeids), natural(cause.first.nodeid)))


def united(causes: Sequence[Cause], prime: Sequence[Collection[object]]) -> list[list[int]]:
    """Numbers of `causes` that are one after all: assertions on the same function with a prime suspect in common.

    `prime` holds the most suspicious lines of each cause. The causes stay in their order.
    """
    groups: list[list[int]] = []
    for number, cause in enumerate(causes):
        for group in groups:
            other = causes[group[0]]
            alike = (cause.first.exception, cause.first.asserted) == (
                other.first.exception,
                other.first.asserted,
            )
            if (
                cause.first.asserted
                and alike
                and not set(prime[number]).isdisjoint(prime[group[0]])
            ):
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def normalised(text: str) -> str:
    """`text` with its numbers, quoted values, addresses and ids taken for alike."""
    return _VARYING.sub("#", text)


_VARYING = re.compile(
    r"0x[0-9A-Fa-f]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b\d[\w.:+-]*"
)


def key_of(failure: Failure) -> tuple[object, ...]:
    """Exception and the project line that raised it; without one, the fixture and the message."""
    last = failure.frames[-1] if failure.frames else None
    if last is None:
        return failure.exception, failure.fixture, normalised(failure.message)
    return failure.exception, last.path, last.line
