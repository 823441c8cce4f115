"""Turns a live exception into a `Failure`: project frames with their source, and observations.

The only user code that runs is the `repr` of values and the `str` of the exception. If they
raise, a placeholder takes the place of their text.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from logging import LogRecord
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from pytest_starcoder.explain.assertions import (
    Comparison,
    assertion_at,
    describe_assertion,
    value_differences,
)
from pytest_starcoder.explain.doctest_failures import FailedExample, failed_example
from pytest_starcoder.explain.exception_texts import exception_text, named_text
from pytest_starcoder.explain.facts import facts_at
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.missing import find_missing
from pytest_starcoder.explain.raise_site import RaiseSite, raise_site
from pytest_starcoder.explain.reported_errors import ReportedError, reported_errors
from pytest_starcoder.explain.stopped import describe_loops, was_stopped
from pytest_starcoder.explain.unittest_assertions import describe_unittest, unittest_assertion
from pytest_starcoder.explain.unmet_expectations import unmet_expectation
from pytest_starcoder.explain.value_facts import table_assertion
from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.redaction.redactor import Redactor, secret_values
from pytest_starcoder.source.callees import called_functions
from pytest_starcoder.source.functions import source_of
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import ADDRESS

MAX_SOURCE_LINES = 40
"""Maximum number of lines of one function; those around the executed line are kept."""

MAX_CALLEES = 40
"""Maximum number of functions outside the traceback."""

MAX_FACTS = 6
"""Maximum number of facts on one failure."""

MAX_FRAMES = 8
"""Maximum number of frames: the test, and the last ones of a deep recursion."""

LINES_BEFORE = 5
"""Number of lines before the failing one that are kept of module-level code."""


class Entry(NamedTuple):
    """One entry of a traceback; `lasti` is the index of its last instruction."""

    frame: FrameType
    line: int
    lasti: int


def capture_failure(
    exc: BaseException,
    nodeid: str,
    phase: str,
    project: Project,
    comparison: Comparison | None = None,
    executed: Iterable[CodeType] = (),
    redactor: Redactor | None = None,
    records: Iterable[LogRecord] = (),
) -> Failure:
    """Return the failure of a test, without secrets.

    `comparison` is the last one that failed in the test; `executed` is the code that a recording
    saw in it; `records` are what the test logged. `redactor` learns the secrets in the frames.
    """
    redactor = redactor or Redactor.from_environment()
    example = failed_example(exc)
    if example is not None:
        if example.error is None:
            failure = _doctest_failure(example, exc, nodeid, phase, project)
            return _redact(failure, (), redactor)
        exc = example.error
    exc = _root_cause(exc, project)
    entries = list(_project_entries(exc, project))
    frames = list(_capture_frames(entries, project))
    site = _raise_site(exc, entries)
    reported = reported_errors(exc, site, records)
    unmet = unmet_expectation(site) if site is not None else None
    called = list(_called_frames(entries, project, unmet.last_line if unmet else 0))
    involved = _distinct(_involved_frames(reported, called, project), frames)
    statement = _failed_assertion(exc, entries)
    fixture = ""
    if frames and phase in ("setup", "teardown"):
        fixture = frames[0].function
    asserted = ""
    if called and statement:
        first = called[0]
        asserted = f"{first.path}:{first.first_line}"
    observations = _observe(site, statement, comparison, reported, project)
    if was_stopped(exc):
        places = [(entry.frame, entry.line) for entry in entries]
        observations = (*describe_loops(places, project.path_of), *observations)[:MAX_FACTS]
    if unmet is not None:
        seen = unmet.describe()
    else:
        seen = _describe(exc, entries, statement, comparison, observations)
    failure = Failure(
        nodeid=nodeid,
        phase=phase,
        exception=type(exc).__name__,
        message=_message(exc),
        seen=seen,
        frames=(*frames, *_syntax_error_frames(exc, project)),
        callees=_callees(frames, involved, executed, project),
        facts=observations,
        fixture=fixture,
        asserted=asserted,
        missing=find_missing(exc, project.holds),
    )
    return _redact(failure, entries, redactor)


def _doctest_failure(
    example: FailedExample, exc: BaseException, nodeid: str, phase: str, project: Project
) -> Failure:
    """Return the failure of an example that did not print the expected output."""
    frame = example.frame(project)
    callees = []
    for code in example.called():
        if project.holds(code.co_filename):
            callees.append(_capture_frame(code, code.co_firstlineno, project))
    return Failure(
        nodeid=nodeid,
        phase=phase,
        exception=type(exc).__name__,
        message=example.describe(),
        seen=example.describe(),
        frames=() if frame is None else (frame,),
        callees=tuple(callees),
        facts=example.facts(),
    )


def _observe(
    site: RaiseSite | None,
    statement: ast.Assert | None,
    comparison: Comparison | None,
    reported: Iterable[ReportedError],
    project: Project,
) -> tuple[str, ...]:
    """Return facts on the failure, those on the compared values first."""
    observations: dict[str, None] = {}
    if statement is not None and comparison is not None:
        observations |= dict.fromkeys(value_differences(statement, comparison))
    for error in reported:
        observations |= dict.fromkeys(_describe_reported(error, project))
    # Without a project frame, there are no values to inspect.
    if site is not None:
        observations |= dict.fromkeys(facts_at(site))
    return tuple(islice(observations, MAX_FACTS))


def _raise_site(exc: BaseException, entries: Sequence[Entry]) -> RaiseSite | None:
    """Return where an exception was raised in the project; None if not in the project."""
    return raise_site(exc, *entries[-1]) if entries else None


def _reported_frames(errors: Iterable[ReportedError], project: Project) -> Iterator[Frame]:
    """Yield the frames of exceptions that did not reach the test, each from the raise outwards."""
    for error in errors:
        entries = list(_project_entries(error.exc, project))
        yield from reversed(list(_capture_frames(entries, project)))


def _involved_frames(
    errors: Iterable[ReportedError], called: Iterable[Frame], project: Project
) -> Iterator[Frame]:
    """Yield functions involved in a failure: of reported errors, called, and of logged errors."""
    yield from _reported_frames([error for error in errors if not error.is_logged], project)
    yield from called
    yield from _reported_frames([error for error in errors if error.is_logged], project)


def _distinct(added: Iterable[Frame], frames: Iterable[Frame]) -> list[Frame]:
    """Return the frames of functions that are not among `frames`, each function once."""
    starts = {(frame.path, frame.first_line) for frame in frames}
    distinct: list[Frame] = []
    for frame in added:
        start = frame.path, frame.first_line
        if start not in starts:
            starts.add(start)
            distinct.append(frame)
    return distinct


def _describe_reported(error: ReportedError, project: Project) -> Iterator[str]:
    """Yield a sentence on an exception, if it adds to the failure's own message."""
    text = one_line(f"{error.origin} {named_text(error.exc)}", 140)
    for frame in _reported_frames([error], project):
        yield f"{text} at {frame.path}:{frame.line} in {frame.function}"
        return
    if not error.is_in_message:
        yield text


def _redact(failure: Failure, entries: Sequence[Entry], redactor: Redactor) -> Failure:
    """Remove secrets from a failure, learning first those in its variables and source."""
    for entry in entries:
        redactor.add(secret_values(entry.frame.f_locals))
        redactor.add(secret_values(entry.frame.f_globals))
    for frame in (*failure.frames, *failure.callees):
        redactor.learn(frame.source)
    return with_texts(failure, redactor.redact)


def _failed_assertion(exc: BaseException, entries: Sequence[Entry]) -> ast.Assert | None:
    """Return the `assert` statement that failed; None for any other exception."""
    if not entries or not isinstance(exc, AssertionError):
        return None
    last = entries[-1]
    return assertion_at(source_of(last.frame.f_code), last.line)


def _describe(
    exc: BaseException,
    entries: Sequence[Entry],
    statement: ast.Assert | None,
    comparison: Comparison | None,
    observations: Sequence[str],
) -> str:
    """Return one sentence on what happened."""
    message = _message(exc)
    if statement is not None:
        return describe_assertion(statement, exception_text(exc), message, comparison)
    assertion = unittest_assertion(exc)
    # An assertion that a library calls has no expressions that a reader knows.
    if assertion is not None and entries and assertion.site.frame is entries[-1].frame:
        sentence = describe_unittest(assertion)
        if sentence:
            return sentence
    if observations and table_assertion(exc):
        # The remaining lines repeat the whole tables.
        message = exception_text(exc).strip().partition("\n")[0]
    kind = type(exc).__name__
    return f"raised {kind}: {message}" if message else f"raised {kind}"


def failure_from_report(nodeid: str, phase: str, text: str) -> Failure:
    """Return the failure of a test without an exception, from the text of pytest's report."""
    lines = text.rstrip().splitlines()
    message = one_line(lines[-1]) if lines else "failed without a message"
    strict = "passed, though it is marked as expected to fail (strict)"
    message = message.replace("[XPASS(strict)]", strict).rstrip()
    return Failure(nodeid, phase, "failure", message, message)


def _root_cause(exc: BaseException, project: Project) -> BaseException:
    """Return the first exception in the chain of causes that was raised in the project.

    When a file cannot be collected, pytest's own error has no project frame, but its cause has.
    """
    chain = [exc]
    cause = exc.__cause__
    # User code may have made the chain a cycle. Not `in`, which would call the user's `__eq__`.
    while cause is not None and not any(cause is link for link in chain):
        chain.append(cause)
        cause = cause.__cause__
    for candidate in chain:
        if any(_project_entries(candidate, project)):
            return candidate
    return chain[-1]


def _message(exc: BaseException) -> str:
    """Return the texts of an exception, its group and its cause on one line."""
    texts = [exception_text(exc)[:4000]]
    if isinstance(exc, BaseExceptionGroup):
        texts += map(named_text, exc.exceptions[:3])
    cause = exc.__cause__
    # Database libraries repeat the message of the driver, for example.
    if cause is not None and not _repeats(exc, cause):
        texts.append(f"from {named_text(cause)}")
    message = ", ".join(filter(None, texts))
    # Addresses differ in every run, so no prompt would ever be answered from the cache.
    return one_line(ADDRESS.sub("", message), 400)


def _repeats(exc: BaseException, cause: BaseException) -> bool:
    """Return whether an exception has the class name and the whole text of its cause."""
    text = exception_text(cause)
    return type(exc).__name__ == type(cause).__name__ and bool(text) and text in exception_text(exc)


# --- frames --------------------------------------------------------------------------------


def _project_entries(exc: BaseException, project: Project) -> Iterator[Entry]:
    """Yield the entries of a traceback in the project's own code, the test first.

    A generator expression on a line counts as part of the frame around it. The entries of an
    exception group are followed by those of its first exception.
    """
    previous = None
    for traceback in _traceback_entries(exc):
        frame = traceback.tb_frame
        file, line = frame.f_code.co_filename, traceback.tb_lineno
        if (file, line) != previous and project.holds(file):
            previous = file, line
            yield Entry(frame, line, traceback.tb_lasti)


def _traceback_entries(exc: BaseException) -> Iterator[TracebackType]:
    traceback = exc.__traceback__
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
    if isinstance(exc, BaseExceptionGroup):
        yield from _traceback_entries(exc.exceptions[0])


def _capture_frames(entries: Sequence[Entry], project: Project) -> Iterator[Frame]:
    """Yield the frames of a traceback, at most `MAX_FRAMES`."""
    if len(entries) > MAX_FRAMES:
        # A deep recursion: the frames in the middle are all alike.
        entries = [entries[0], *entries[1 - MAX_FRAMES :]]
    for entry in entries:
        yield _capture_frame(entry.frame.f_code, entry.line, project)


def _called_frames(entries: Sequence[Entry], project: Project, block_end: int) -> Iterator[Frame]:
    """Yield the functions that the failing line calls and that are not on the traceback.

    `block_end` is the last line of the block that the line opens; 0 to ignore the block.
    """
    on_traceback = {entry.frame.f_code for entry in entries}
    for last in entries[-1:]:
        line = max(last.line, block_end)
        for code in called_functions(last.frame, line, project.holds):
            if code not in on_traceback:
                yield _capture_frame(code, code.co_firstlineno, project)


def _callees(
    frames: list[Frame], called: list[Frame], executed: Iterable[CodeType], project: Project
) -> tuple[Frame, ...]:
    """Return the called functions, followed by other functions that were recorded."""
    callees = list(called)
    starts = {(frame.path, frame.first_line) for frame in (*frames, *called)}
    # Recorded functions come last: most are far from the failure.
    for code in executed:
        if not project.holds(code.co_filename):
            continue
        frame = _capture_frame(code, code.co_firstlineno, project)
        if (frame.path, frame.first_line) not in starts:
            callees.append(frame)
    return tuple(callees[:MAX_CALLEES])


def _syntax_error_frames(exc: BaseException, project: Project) -> Iterator[Frame]:
    """Yield the lines up to a syntax error in a project file, which no traceback enters."""
    if not isinstance(exc, SyntaxError):
        return
    file, line = exc.filename, exc.lineno
    # User code may raise a SyntaxError with anything as its arguments.
    if isinstance(file, str) and isinstance(line, int) and project.holds(file):
        first = max(1, line - LINES_BEFORE)
        source = _lines(file, first, line)
        yield Frame(project.path_of(file), line, "<module>", first, source)


def _capture_frame(code: CodeType, line: int, project: Project) -> Frame:
    """Return a frame with the source of its function, or the part of it around `line`."""
    last = line
    if code.co_name == "<module>":
        first = max(1, line - LINES_BEFORE)
    else:
        first = code.co_firstlineno
        for _start, _end, number in code.co_lines():
            last = max(last, number or 0)
    # Three quarters of the lines are before `line`: they led to the failure.
    if last - first >= MAX_SOURCE_LINES:
        first = max(first, line - MAX_SOURCE_LINES * 3 // 4)
        last = min(last, first + MAX_SOURCE_LINES - 1)
    source = _lines(code.co_filename, first, last)
    name = code.co_qualname.replace(".<locals>", "")
    return Frame(project.path_of(code.co_filename), line, name, first, source)


def _lines(file: str, first: int, last: int) -> str:
    lines = linecache.getlines(file)[first - 1 : last]
    return "".join(lines).rstrip("\n")
