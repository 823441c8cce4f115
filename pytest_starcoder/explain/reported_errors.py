"""Finds exceptions that may have caused a failure without reaching the test.

The server turned them into a response, they were caught or logged, or they are in a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from logging import LogRecord
from typing import NamedTuple

from pytest_starcoder.explain.equality import attributes
from pytest_starcoder.explain.raise_site import RaiseSite
from pytest_starcoder.explain.response_facts import replies, values_on_line
from pytest_starcoder.explain.unmet_expectations import unmet_expectation
from pytest_starcoder.source.callees import is_instance

MAX_ERRORS = 3
"""Maximum number of reported exceptions of a group."""

MAX_LINKS = 40
"""Maximum number of exceptions of a chain or group that are visited."""

MATCHERS = ("_pytest.raises", "_pytest.python_api", "_pytest._code.code", "unittest.case")
"""Modules that raise if an exception is not the expected one."""


class ReportedError(NamedTuple):
    """An exception that did not reach the test; `origin` begins a sentence on where it was seen.

    `is_in_message`: the failure's own message mentions it. `is_logged`: it may have nothing to do
    with the failure.
    """

    origin: str
    exc: BaseException
    is_in_message: bool = False
    is_logged: bool = False


def reported_errors(
    exc: BaseException, site: RaiseSite | None, records: Iterable[LogRecord]
) -> tuple[ReportedError, ...]:
    """Return the exceptions that may have caused a failure, the most specific first.

    Never raises. `site` is None where no project code is on the traceback.
    """
    try:
        if isinstance(exc, BaseExceptionGroup):
            return tuple(_errors_of_group(exc))
        errors = list(_errors_at(site)) if site is not None else []
        errors += _logged_errors(records)
        # Only one, because further ones seldom matter.
        return tuple([error for error in errors if not _is_linked(error.exc, exc)][:1])
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a user's class may raise anything
        return ()


def _errors_of_group(group: BaseExceptionGroup[BaseException]) -> Iterator[ReportedError]:
    """Yield the exceptions in a group, including those in nested groups."""
    waiting: list[BaseException] = list(group.exceptions)
    number = 0
    for _ in range(MAX_LINKS):
        if not waiting or number == MAX_ERRORS:
            return
        exc = waiting.pop(0)
        if isinstance(exc, BaseExceptionGroup):
            waiting[:0] = exc.exceptions
        else:
            number += 1
            yield ReportedError("the group contains", exc, is_in_message=True)


def _errors_at(site: RaiseSite) -> Iterator[ReportedError]:
    for reply in replies(site):
        if reply.error is not None:
            yield ReportedError(f"{reply.speaker} raised", reply.error)
    for value in values_on_line(site):
        caught = _caught(value)
        if caught is not None:
            yield ReportedError("the test caught", caught, is_in_message=True)
    context = site.exc.__context__
    if context is not None and _raised_by_matcher(site) and unmet_expectation(site) is None:
        yield ReportedError("the test caught", context, is_in_message=True)


def _caught(value: object) -> BaseException | None:
    """Return a value that is an exception, or the one that `pytest.raises` stored in it."""
    if is_instance(value, BaseException):
        return value
    if type(value).__name__ == "ExceptionInfo" and type(value).__module__.startswith("_pytest."):
        stored = attributes(value).get("_excinfo")
        if type(stored) is tuple and len(stored) == 3:
            return stored[1] if is_instance(stored[1], BaseException) else None
    return None


def _raised_by_matcher(site: RaiseSite) -> bool:
    *_, last = site.entries()
    return last.tb_frame.f_globals.get("__name__") in MATCHERS


def _logged_errors(records: Iterable[LogRecord]) -> Iterator[ReportedError]:
    """Yield the logged exceptions, the latest first."""
    for record in reversed(list(records)):
        error = record.exc_info[1] if type(record.exc_info) is tuple else None
        if error is not None:
            yield ReportedError("the log contains", error, is_logged=True)


def _is_linked(error: BaseException, exc: BaseException) -> bool:
    """Return whether `error` is `exc`, or in the chain of its causes."""
    link: BaseException | None = exc
    # Bounded, because user code may have made the chain cyclic.
    for _ in range(MAX_LINKS):
        if link is None or link is error:
            break
        link = link.__cause__
    return link is error
