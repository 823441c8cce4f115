"""Groups failures that share a cause, so that each cause is explained once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.text.display import natural

PHASES = ("collect", "setup", "call", "teardown")
"""The phases of a test, in their order."""

VARYING_TEXT = re.compile(
    r"0x[0-9A-Fa-f]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b\d[\w.:+-]*"
)
"""Addresses, UUIDs, quoted values and numbers, which differ between failures of one cause."""


def group_failures(failures: Iterable[Failure]) -> list[Cause]:
    """Return the causes of failures, that with the most tests first.

    The order does not depend on which failure came first: under xdist that is chance.
    """
    groups: dict[tuple[object, ...], list[Failure]] = {}
    # Sorted, because under xdist the order of failures is chance.
    for failure in sorted(failures, key=_run_order):
        groups.setdefault(cause_key(failure), []).append(failure)
    return sorted((Cause(tuple(group)) for group in groups.values()), key=cause_order)


def _run_order(failure: Failure) -> tuple[object, int]:
    return natural(failure.nodeid), PHASES.index(failure.phase)


def cause_order(cause: Cause) -> tuple[int, object]:
    """Return a sort key: most tests first, then by the name of the first test."""
    return -len(cause.nodeids), natural(cause.first.nodeid)


def group_causes(
    causes: Sequence[Cause], prime_lines: Sequence[Collection[object]]
) -> list[list[int]]:
    """Return the indices of causes that turn out to be one, in groups.

    Those are assertions on the same function that share one of the most suspicious lines, which
    `prime_lines` holds for each cause.
    """
    groups: list[list[int]] = []
    for index, cause in enumerate(causes):
        for group in groups:
            first = group[0]
            is_same_assertion = _assertion(cause) == _assertion(causes[first])
            shared = set(prime_lines[index]).intersection(prime_lines[first])
            if cause.first.asserted and is_same_assertion and shared:
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def _assertion(cause: Cause) -> tuple[str, str]:
    return cause.first.exception, cause.first.asserted


def cause_key(failure: Failure) -> tuple[object, ...]:
    """Return what failures of one cause have in common: the exception and the line that raised it.

    Failures without a project line share the fixture, and the message without varying values.
    """
    if not failure.frames:
        message = VARYING_TEXT.sub("#", failure.message)
        return failure.exception, failure.fixture, message
    last = failure.frames[-1]
    return failure.exception, last.path, last.line
