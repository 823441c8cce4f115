"""Turns a live exception into a `Failure`: project frames with their source, and observations.

Of user code only the `repr` of compared values and the `str` of the exception run. Whatever
they raise, a text comes out.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FrameType
from typing import NamedTuple

from pytest_starcoder.explain.assertions import (
    Comparison,
    assertion_at,
    describe_assertion,
    value_differences,
)
from pytest_starcoder.explain.facts import facts
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.redaction.redactor import Redactor, secret_values
from pytest_starcoder.redaction.values import with_texts
from pytest_starcoder.source.callees import called_functions
from pytest_starcoder.source.functions import source_of
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import ADDRESS

MAX_SOURCE_LINES = 40
"""Maximum number of lines of one function, around the line that was executed."""

MAX_CALLEES = 40
"""Maximum number of functions that are not on the traceback."""

MAX_FACTS = 6
"""Maximum number of facts on one failure."""

MAX_FRAMES = 8
"""Maximum number of frames: the test, and the last ones of a deep recursion."""

LINES_BEFORE = 5
"""Lines before the failing one that are kept of a module."""


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
) -> Failure:
    """Return the failure of a test, without secrets.

    `comparison` is the last one that failed in the test, `executed` the code that was recorded
    to run in it. `redactor` learns the secrets in the frames.
    """
    exc = _root_cause(exc, project)
    entries = list(_project_entries(exc, project))
    frames = [_capture_frame(entry.frame.f_code, entry.line, project) for entry in entries]
    if len(frames) > MAX_FRAMES:
        # Of a deep recursion, its frames are all alike.
        frames = [frames[0], *frames[1 - MAX_FRAMES :]]
    called = list(_called_frames(entries, project))
    statement = _failed_assertion(exc, entries)
    observations: list[str] = []
    if statement is not None and comparison is not None:
        observations += value_differences(statement, comparison)
    # Without a frame of the project there are no values to look at.
    for last in entries[-1:]:
        observations += facts(exc, *last)
    failure = Failure(
        nodeid=nodeid,
        phase=phase,
        exception=type(exc).__name__,
        message=_message(exc),
        seen=_describe(exc, statement, comparison),
        frames=(*frames, *_syntax_error_frames(exc, project)),
        callees=_callees(frames, called, executed, project),
        facts=tuple(dict.fromkeys(observations))[:MAX_FACTS],
        fixture=frames[0].function if frames and phase in ("setup", "teardown") else "",
        asserted=_address(called[0]) if called and statement else "",
    )
    return _redact(failure, entries, redactor or Redactor.from_environment())


def _redact(failure: Failure, entries: Sequence[Entry], redactor: Redactor) -> Failure:
    """Remove secrets from a failure: those of the environment, the variables and the source."""
    for entry in entries:
        redactor.add(secret_values(entry.frame.f_locals))
        redactor.add(secret_values(entry.frame.f_globals))
    for frame in (*failure.frames, *failure.callees):
        redactor.learn(frame.source)
    return with_texts(failure, redactor.redact)


def _address(frame: Frame) -> str:
    return f"{frame.path}:{frame.first_line}"


def _failed_assertion(exc: BaseException, entries: Sequence[Entry]) -> ast.Assert | None:
    """Return the `assert` statement that failed, if one did."""
    if not entries or not isinstance(exc, AssertionError):
        return None
    last = entries[-1]
    return assertion_at(source_of(last.frame.f_code), last.line)


def _describe(
    exc: BaseException, statement: ast.Assert | None, comparison: Comparison | None
) -> str:
    """Return one sentence on what happened."""
    message = _message(exc)
    if statement is not None:
        return describe_assertion(statement, _text(exc), message, comparison)
    kind = type(exc).__name__
    return f"raised {kind}: {message}" if message else f"raised {kind}"


def failure_from_report(nodeid: str, phase: str, text: str) -> Failure:
    """Return the failure of a test of which only the text of pytest's report is known.

    It was no exception, or came too late.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    message = one_line(lines[-1]) if lines else "failed without a message"
    message = message.replace(
        "[XPASS(strict)]", "passed, though it is marked as expected to fail (strict)"
    ).rstrip()
    return Failure(nodeid, phase, "failure", message, message)


def _root_cause(exc: BaseException, project: Project) -> BaseException:
    """Return the first exception in the chain of causes that was raised in the project.

    An error of pytest's in the collection of a file has no frame of the project, but its cause
    has.
    """
    chain = [exc]
    while (cause := chain[-1].__cause__) is not None:
        if any(cause is seen for seen in chain):  # a cycle; `in` would call the user's `__eq__`
            break
        chain.append(cause)
    for candidate in chain:
        if any(_project_entries(candidate, project)):
            return candidate
    return chain[-1]


def _message(exc: BaseException) -> str:
    """Return the texts of an exception, its group and its cause on one line."""
    texts = [_text(exc)[:4000]]
    if isinstance(exc, BaseExceptionGroup):
        texts += map(_named_text, exc.exceptions[:3])
    if exc.__cause__ is not None:
        texts.append(f"from {_named_text(exc.__cause__)}")
    message = ", ".join(filter(None, texts))
    # Addresses differ in every run, and would make every prompt a new one.
    return one_line(ADDRESS.sub("", message), 400)


def _named_text(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {_text(exc)[:1000]}"


def _text(exc: BaseException) -> str:
    if type(exc).__name__ == "FixtureLookupError":  # its str shows the inside of pytest
        fixture = vars(exc).get("argname")
        if isinstance(fixture, str):
            return f"fixture {fixture!r} not found"
    try:
        return str(exc)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - a `__str__` of the user's may raise anything
        return f"<its str raises {type(raised).__name__}>"


# --- frames --------------------------------------------------------------------------------


def _project_entries(exc: BaseException, project: Project) -> Iterator[Entry]:
    """Yield the entries of a traceback in the project's own code, the test first.

    A generator expression on a line counts as part of the frame around it. The entries of an
    exception group go on with those of its first exception.
    """
    previous = None
    group: BaseException | None = exc
    while group is not None:
        traceback = group.__traceback__
        while traceback is not None:
            place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            if place != previous and project.holds(place[0]):
                previous = place
                yield Entry(traceback.tb_frame, traceback.tb_lineno, traceback.tb_lasti)
            traceback = traceback.tb_next
        group = group.exceptions[0] if isinstance(group, BaseExceptionGroup) else None


def _called_frames(entries: Sequence[Entry], project: Project) -> Iterator[Frame]:
    """Yield the functions that the failing line calls and that are not on the traceback."""
    on_traceback = {entry.frame.f_code for entry in entries}
    for last in entries[-1:]:
        for code in called_functions(last.frame, last.line, project.holds):
            if code not in on_traceback:
                yield _capture_frame(code, code.co_firstlineno, project)


def _callees(
    frames: list[Frame], called: list[Frame], executed: Iterable[CodeType], project: Project
) -> tuple[Frame, ...]:
    """Return the called functions, and then the others that were recorded to run."""
    callees = list(called)
    starts = {(frame.path, frame.first_line) for frame in (*frames, *called)}
    # What was recorded comes last: most of it is far from the failure.
    for code in executed:
        if project.holds(code.co_filename):
            frame = _capture_frame(code, code.co_firstlineno, project)
            if (frame.path, frame.first_line) not in starts:
                callees.append(frame)
    return tuple(callees[:MAX_CALLEES])


def _syntax_error_frames(exc: BaseException, project: Project) -> Iterator[Frame]:
    """Yield the lines up to a syntax error in a project file, which no traceback enters."""
    if not isinstance(exc, SyntaxError):
        return
    file, line = exc.filename, exc.lineno
    if isinstance(file, str) and isinstance(line, int) and project.holds(file):
        first = max(1, line - LINES_BEFORE)
        yield Frame(project.path_of(file), line, "<module>", first, _lines(file, first, line))


def _capture_frame(code: CodeType, line: int, project: Project) -> Frame:
    """Return a frame with the source of its function, or a part of it around `line`."""
    if code.co_name == "<module>":
        first, last = max(1, line - LINES_BEFORE), line
    else:
        first = code.co_firstlineno
        last = line
        for _start, _end, number in code.co_lines():
            last = max(last, number or 0)
    # Three quarters of the room is for the lines before: they led to the failure.
    if last - first >= MAX_SOURCE_LINES:
        first = max(first, line - MAX_SOURCE_LINES * 3 // 4)
        last = min(last, first + MAX_SOURCE_LINES - 1)
    source = _lines(code.co_filename, first, last)
    name = code.co_qualname.replace(".<locals>", "")
    return Frame(project.path_of(code.co_filename), line, name, first, source)


def _lines(file: str, first: int, last: int) -> str:
    lines = linecache.getlines(file)[first - 1 : last]
    return "".join(lines).rstrip("\n")
