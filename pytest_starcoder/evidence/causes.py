"""Failures that share a cause, put together: one question a cause, not one a test."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_starcoder.values import Cause, Failure


def causes(failures: Iterable[Failure]) -> list[Cause]:
    """The causes of `failures`, the one with most tests first."""
    groups: dict[tuple[object, ...], list[Failure]] = {}
    for failure in failures:
        groups.setdefault(_key(failure), []).append(failure)
    return [Cause(tuple(group)) for group in sorted(groups.values(), key=len, reverse=True)]


def _key(failure: Failure) -> tuple[object, ...]:
    """Exception and the project line that raised it; without one, the message."""
    if not failure.frames:
        return failure.exception, failure.message
    last = failure.frames[-1]
    return failure.exception, last.path, last.line
