"""Traces a test that may fail: its calls, and which lines ran when, up to the failure."""

from __future__ import annotations

import contextlib
import dis
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.runner.call_log import CallLog, TracedCall
from pytest_starcoder.runner.statements import Statements
from pytest_starcoder.runner.trace import LineSets, LocalTrace, Tracer, add_lines, unite

MAX_ENTERED = 400
"""Maximum number of functions whose order is kept."""

FORMATTERS: Mapping[str, frozenset[str]] = {
    "_pytest/assertion/rewrite.py": frozenset(
        {"_saferepr", "_format_assertmsg", "_should_repr_global_name", "_call_reprcompare"}
    ),
    "unittest/util.py": frozenset({"safe_repr", "_common_shorten_repr"}),
    "unittest/mock.py": frozenset({"_format_mock_call_signature", "_error_message"}),
}
"""Functions that describe failed assertions: what they call did not cause the failure."""

HANDLING = {dis.opmap[name] for name in ("PUSH_EXC_INFO", "CLEANUP_THROW") if name in dis.opmap}
"""Instructions that begin an exception handler."""


@dataclass
class Executed:
    """The code that a test executed, without code that ran only because it had failed.

    `late` are the lines run by the failing statement of the test function, `unchecked` all but the
    lines run by statements whose results had passed an earlier check. Both are empty if the
    exception was not raised by the test function. `entered` are functions in the order in which
    they were last entered.
    """

    lines: LineSets
    late: LineSets = field(default_factory=dict)
    unchecked: LineSets = field(default_factory=dict)
    entered: list[CodeType] = field(default_factory=list)


class FailureTracer(Tracer):
    """Traces the test function whose code is `test`.

    `lines` are those run by the current statement of the test function, or those run since an
    exception that may be the one that fails the test.
    """

    def __init__(
        self,
        is_traced: Callable[[str], bool],
        test: CodeType | None = None,
        secrets: set[str] | None = None,
    ) -> None:
        super().__init__(is_traced)
        self.log = CallLog(set() if secrets is None else secrets)
        self._test = test
        self._statements = Statements() if test is None else Statements.of(test)
        # Lines by statement of the test function: of its last execution, and of those before.
        self._last: dict[int, LineSets] = {0: self.lines}
        self._earlier: dict[int, LineSets] = {}
        self._statement = 0
        self._is_leaving_with = False
        self._has_left = False
        self._exception = 0  # its id: holding it would keep objects of the test alive
        self._before_exception: LineSets = {}
        self._calls_before: list[TracedCall] = []
        self._entered: dict[int, CodeType] = {}
        self._entered_after: list[CodeType] = []
        self._formatting_thread = 0
        self._formatters: dict[str, frozenset[str]] = {}

    def start(self) -> None:
        self._settle()
        super().start()

    @contextlib.contextmanager
    def separate(self) -> Iterator[LineSets]:
        self._settle()
        with super().separate() as lines:
            try:
                yield lines
            finally:
                self._settle()

    def add(self, file: str, lines: Iterable[int]) -> None:
        self._settled_lines.setdefault(file, set()).update(lines)

    @property
    def _settled_lines(self) -> LineSets:
        return self._before_exception if self._exception else self.lines

    def executed(self, exception: BaseException | None) -> Executed:
        """Return what ran, only up to `exception` if that failed the test."""
        is_raised = exception is not None and id(exception) == self._exception
        if is_raised:
            self._exception = 0
            self.lines = self._before_exception
            self.log.forget_others(self._calls_before)
        self._settle()
        executed = Executed(unite([*self._last.values(), *self._earlier.values()]))
        executed.entered = list(self._entered.values())[-MAX_ENTERED:]
        # At the end of a `with` statement, what failed may be any part of its body.
        if is_raised and self._has_left and self._statement and not self._is_leaving_with:
            executed.late = self._last[self._statement]
            executed.unchecked = self._unchecked_lines()
        return executed

    def _unchecked_lines(self) -> LineSets:
        failing = self._statement
        checked = self._statements.checked_before(failing, self._last)
        lines = []
        for statement, executed in self._last.items():
            if statement not in checked:
                lines.append(executed)
        for statement, executed in self._earlier.items():
            if statement not in checked and not self._statements.is_passed(statement, failing):
                lines.append(executed)
        return unite(lines)

    def _trace_call(self, frame: FrameType, _event: str, _arg: Any) -> LocalTrace | None:
        if self._formatting_thread and self._formatting_thread == threading.get_ident():
            return None
        code = frame.f_code
        if not self._is_traced_code(code):
            return self._trace_formatter(frame)
        if code is self._test and self._has_left:  # the test is called again
            self._has_left = False
            self._settle()
        if self._is_resumed(frame):
            return frame.f_trace
        self._note_entry(code)
        call = self.log.record(frame)
        return self.trace_line if call is None else _RecordedCall(self, call).trace

    def _is_resumed(self, frame: FrameType) -> bool:
        """Return whether a generator or coroutine continues, so that this is no new call."""
        owner = getattr(frame.f_trace, "__self__", None)
        return owner is self or (isinstance(owner, _RecordedCall) and owner.tracer is self)

    def _note_entry(self, code: CodeType) -> None:
        if self._exception:
            self._entered_after.append(code)
            return
        # By identity: hashing code takes long.
        self._entered.pop(id(code), None)
        self._entered[id(code)] = code

    def trace_line(self, frame: FrameType, event: str, arg: Any) -> LocalTrace:
        code = frame.f_code
        if event == "line":
            if self._exception and not self._is_propagating(frame):
                self._settle()
            if code is self._test and not self._exception:
                self._begin_statement(frame.f_lineno)
            self.lines.setdefault(code.co_filename, set()).add(frame.f_lineno)
        elif event == "exception":
            self._note_exception(arg[1])
        elif event == "return" and code is self._test:
            self._has_left = self._exception != 0
        return self.trace_line

    # --- assertions that are described ---

    def _trace_formatter(self, frame: FrameType) -> LocalTrace | None:
        """Trace nothing until a function that describes a failed assertion returns."""
        code = frame.f_code
        names = self._formatters.get(code.co_filename)
        if names is None:
            names = self._formatters[code.co_filename] = _formatters_in(code.co_filename)
        if code.co_name not in names:
            return None
        self._formatting_thread = threading.get_ident()
        frame.f_trace_lines = False
        return self._trace_end_of_formatter

    def _trace_end_of_formatter(self, _frame: FrameType, event: str, _arg: Any) -> LocalTrace:
        if event == "return":
            self._formatting_thread = 0
        return self._trace_end_of_formatter

    # --- statements of the test function ---

    def _begin_statement(self, line: int) -> None:
        first = self._statements.first_of(line)
        if first == self._statement:
            return
        if self._statement in self._statements.body_of(first):
            self._is_leaving_with = True
            return
        self._is_leaving_with = False
        self._statement = first
        self.log.begin_statement()
        self.lines = {}
        if first in self._last:
            add_lines(self._earlier.setdefault(first, {}), self._last.pop(first))
        self._last[first] = self.lines

    # --- an exception that may be the one that fails the test ---

    def _note_exception(self, exception: BaseException) -> None:
        if self._has_left or id(exception) == self._exception:
            return
        self._settle()
        self._exception = id(exception)
        self._before_exception = self.lines
        self.lines = {}
        self._calls_before = self.log.mark()

    def _is_propagating(self, frame: FrameType) -> bool:
        """Return whether the exception is still being raised, or in a handler or clean-up."""
        if self._has_left or id(sys.exception()) == self._exception:
            return True
        return frame.f_code.co_code[frame.f_lasti] in HANDLING

    def _settle(self) -> None:
        """Count what ran since the exception, because it was handled."""
        if not self._exception:
            return
        self._exception = 0
        add_lines(self._before_exception, self.lines)
        self.lines = self._before_exception
        for code in self._entered_after:
            self._note_entry(code)
        self._entered_after.clear()


class _RecordedCall:
    """Traces one call, and records its outcome."""

    def __init__(self, tracer: FailureTracer, call: TracedCall) -> None:
        self.tracer = tracer
        self._call = call

    def trace(self, frame: FrameType, event: str, arg: Any) -> LocalTrace:
        self.tracer.trace_line(frame, event, arg)
        if event == "line":
            self._call.is_handled = True
        elif event == "exception":
            self._call.raised, self._call.is_handled = arg[0].__name__, False
        elif event == "return":
            self.tracer.log.note_end(self._call, frame, arg)
        return self.trace


def _formatters_in(filename: str) -> frozenset[str]:
    path = filename.replace("\\", "/")
    for end, names in FORMATTERS.items():
        if path.endswith(f"/{end}"):
            return names
    return frozenset()
