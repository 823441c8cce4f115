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
"""Addresses, UUIDs, quoted values and numbers, which vary between failures of one cause."""

SHARED_KINDS = ("variable", "address", "host", "program", "module", "fixture")
"""Kinds of missing things that are one cause, however many lines need them."""


def group_failures(failures: Iterable[Failure]) -> list[Cause]:
    """Return the causes of failures, the one with the most tests first.

    The result does not depend on the order of `failures`.
    """
    groups: dict[tuple[object, ...], list[Failure]] = {}
    # Under xdist, failures arrive in random order.
    for failure in sorted(failures, key=_run_order):
        groups.setdefault(cause_key(failure), []).append(failure)
    causes = [Cause(tuple(group)) for group in groups.values()]
    return sorted(causes, key=cause_order)


def _run_order(failure: Failure) -> tuple[object, int]:
    return natural(failure.nodeid), PHASES.index(failure.phase)


def cause_order(cause: Cause) -> tuple[int, object]:
    """Return a sort key: most tests first, then by the name of the first test."""
    return -len(cause.nodeids), natural(cause.first.nodeid)


def group_causes(
    causes: Sequence[Cause], prime_lines: Sequence[Collection[object]]
) -> list[list[int]]:
    """Return groups of indices of causes that are probably the same.

    They are assertions on the same function and share one of their most suspicious lines,
    which `prime_lines` lists for each cause.
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
    """Return a key that failures of one cause share: the exception and the line that raised it.

    Something missing outside the code is one cause, whichever lines need it.
    Failures outside the project share the fixture and the message without its varying parts.
    """
    missing = failure.missing
    if missing is not None and missing.kind in SHARED_KINDS:
        return missing.kind, missing.name, missing.detail
    if not failure.frames:
        message = VARYING_TEXT.sub("#", failure.message)
        return failure.exception, failure.fixture, message
    last = failure.frames[-1]
    return failure.exception, last.path, last.line
