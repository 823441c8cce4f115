"""Traces a test: executed lines of the project's files, and the first calls of each function.

Uses `sys.settrace` in the test's thread, in the threads it starts, and in the Python
processes it starts.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.redaction.redactor import secret_values
from pytest_starcoder.runner.outcome import ExecutedLines
from pytest_starcoder.runner.protocol import Malformed, decode, encode, read_regular
from pytest_starcoder.source.project import in_project
from pytest_starcoder.text.reprs import short_repr

MAX_CALLS = 4
"""Maximum recorded calls of one function: loops call the same one thousands of times."""

MAX_ALL_CALLS = 200
"""Maximum recorded calls of one test."""

MAX_ARGUMENTS = 160
"""Maximum characters of one call's arguments."""

MAX_PROCESSES = 1000
"""Maximum number of processes per test whose lines are read."""

# Variables for the Python processes of a test: what to trace, and where to write the lines.
ROOT_VARIABLE = "STARCODER_TRACED_ROOT"
FOLDER_VARIABLE = "STARCODER_TRACED_FOLDER"

LocalTrace = Callable[[FrameType, str, Any], Any]


@dataclass
class TracedCall:
    """One call; `outcome` is set when it ends."""

    code: CodeType
    arguments: str
    outcome: str = "did not return"


class Tracer:
    """Records execution between `start` and `stop` in files for which `is_traced(name)` is true.

    `lines` maps file names to executed lines, and `calls` are in the order in which they began.
    Both may be replaced by empty ones at any time, to separate phases of a run.
    With `record_arcs`, `arcs` are pairs of lines of which one ran right after the other in one
    call without recorded values, 0 for its end.
    `types` are the names of the types that the variables of recorded calls had at their end.
    `secrets` are values of secret-looking names in those calls and their modules.
    With `functions_only`, the bodies of modules and classes are ignored: they run in every
    process.
    """

    def __init__(
        self,
        is_traced: Callable[[str], bool],
        *,
        functions_only: bool = False,
        record_arcs: bool = False,
    ) -> None:
        self._is_traced = is_traced
        self._functions_only = functions_only
        self._record_arcs = record_arcs
        self.clear()
        self.secrets: set[str] = set()
        self._files: dict[str, bool] = {}
        self._counts: dict[int, int] = {}
        self._record_values = False

    def clear(self) -> None:
        """Forget what was recorded, but not the secrets."""
        self.lines: dict[str, set[int]] = {}
        self.arcs: dict[str, set[tuple[int, int]]] = {}
        self.calls: list[TracedCall] = []
        self.types: dict[CodeType, dict[str, set[str]]] = {}

    def start(self, *, values: bool) -> None:
        """Record lines from now on, and calls if `values`."""
        self._counts = {}
        self._record_values = values
        threading.settrace(self._trace_call)
        sys.settrace(self._trace_call)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _trace_call(self, frame: FrameType, _event: str, _arg: Any) -> LocalTrace | None:
        # Called for every call of any function: it decides quickly.
        code = frame.f_code
        is_traced = self._files.get(code.co_filename)
        if is_traced is None:
            is_traced = self._files[code.co_filename] = self._is_traced_file(code.co_filename)
        if not is_traced:
            return None
        # Only code of functions is optimized; that of modules and classes is not.
        if self._functions_only and not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        if not self._record_values:
            return self._arc_tracer() if self._record_arcs else self._trace_line
        count = self._counts.get(id(code), 0) + 1
        self._counts[id(code)] = count
        is_expression = code.co_name.startswith("<")  # a lambda or comprehension
        if count > MAX_CALLS or len(self.calls) >= MAX_ALL_CALLS or is_expression:
            return self._trace_line
        return self._value_tracer(frame, code)

    def _is_traced_file(self, filename: str) -> bool:
        """Return `is_traced(filename)`; False for an invalid path, e.g. with a null character."""
        try:
            return self._is_traced(filename)
        except Exception:  # noqa: BLE001 - an exception in a trace function would reach the test
            return False

    # Called for every line: the repeated expression costs less than another call.

    def _trace_line(self, frame: FrameType, event: str, _arg: Any) -> LocalTrace:
        if event == "line":
            self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self._trace_line

    def _arc_tracer(self) -> LocalTrace:
        previous = 0

        def trace(frame: FrameType, event: str, arg: Any) -> LocalTrace:
            nonlocal previous
            if event == "exception" and arg[0] is not StopIteration:
                previous = 0  # execution does not continue with the next line
            elif event in ("line", "return"):
                line = 0
                if event == "line":
                    line = frame.f_lineno
                    self.lines.setdefault(frame.f_code.co_filename, set()).add(line)
                if previous:
                    arcs = self.arcs.setdefault(frame.f_code.co_filename, set())
                    arcs.add((previous, line))
                previous = line or previous  # a generator that returns may go on
            return trace

        return trace

    def _value_tracer(self, frame: FrameType, code: CodeType) -> LocalTrace:
        """Record the arguments of a call, and return a function that records its outcome."""
        call = TracedCall(code, self._format_arguments(frame, code))
        self.calls.append(call)
        self._collect_secrets(frame.f_globals)
        raised = ""

        def trace(frame: FrameType, event: str, arg: Any) -> LocalTrace:
            nonlocal raised
            if event == "line":
                raised = ""  # the exception was handled
                self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            elif event == "exception":
                raised = arg[0].__name__
            elif event == "return":
                self._collect_secrets(frame.f_locals)
                names = self.types.setdefault(code, {})
                for name, value in frame.f_locals.items():
                    names.setdefault(name, set()).add(type(value).__name__)
                if raised:
                    call.outcome = f"raised {raised}"
                else:
                    call.outcome = f"returned {self._untraced_repr(arg)}"
            return trace

        return trace

    def _collect_secrets(self, variables: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # the test's own mapping may raise anything
            self.secrets.update(secret_values(variables))

    def _format_arguments(self, frame: FrameType, code: CodeType) -> str:
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & inspect.CO_VARARGS)
        count += bool(code.co_flags & inspect.CO_VARKEYWORDS)
        arguments = []
        for name in code.co_varnames[:count]:
            if name in frame.f_locals and name not in ("self", "cls"):
                arguments.append(f"{name}={self._untraced_repr(frame.f_locals[name])}")
        text = ", ".join(arguments)
        if len(text) > MAX_ARGUMENTS:
            text = text[: MAX_ARGUMENTS - 1] + "…"
        return text

    def _untraced_repr(self, value: object) -> str:
        """Return `short_repr(value)`; the code that it runs is not part of the test."""
        sys.settrace(None)
        try:
            return short_repr(value)
        finally:
            sys.settrace(self._trace_call)


class TracedEnvironment:
    """Environment that makes Python trace files below `root` and write the lines to `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._variables = {ROOT_VARIABLE: str(root), FOLDER_VARIABLE: str(folder)}
        self._startup = str(Path(__file__).parent / "startup")
        self._had_empty_path = os.environ.get("PYTHONPATH") == ""

    def add_to(self, environment: MutableMapping[str, str]) -> None:
        """Add our variables to the current ones of the test."""
        path = environment.get("PYTHONPATH", "")
        environment.update(self._variables)
        # An empty entry would mean the working directory.
        folders = filter(None, (self._startup, path))
        environment["PYTHONPATH"] = os.pathsep.join(folders)

    def remove_from(self, environment: MutableMapping[str, str]) -> None:
        """Remove our variables, wherever the test copied them, and nothing else."""
        for name in self._variables:
            environment.pop(name, None)
        folders = environment.get("PYTHONPATH", "").split(os.pathsep)
        if self._startup not in folders:
            return
        folders = [folder for folder in folders if folder != self._startup]
        if folders or self._had_empty_path:
            environment["PYTHONPATH"] = os.pathsep.join(folders)
        else:
            del environment["PYTHONPATH"]


def trace_process(environment: Mapping[str, str]) -> None:
    """Trace this process until it ends, if the environment says so."""
    if not (environment.get(ROOT_VARIABLE) and environment.get(FOLDER_VARIABLE)):
        return
    root = Path(environment[ROOT_VARIABLE])
    folder = Path(environment[FOLDER_VARIABLE])

    def is_traced(filename: str) -> bool:
        return in_project(str(Path(filename).absolute()), root)

    def write_lines() -> None:
        tracer.stop()
        lines = {}
        for file, numbers in list(tracer.lines.items()):  # a thread may still add to it
            lines[str(Path(file).absolute())] = frozenset(numbers)
        message = encode(ExecutedLines(lines))
        (folder / f"{os.getpid()}.json").write_bytes(message)

    tracer = Tracer(is_traced, functions_only=True)
    atexit.register(write_lines)
    tracer.start(values=False)


def read_processes(folder: Path) -> Iterator[tuple[str, frozenset[int]]]:
    """Yield the files and lines executed by Python processes that have ended, each once.

    Tests started those processes and may have put anything into the folder: anything but
    small files with lines is ignored.
    """
    for file in sorted(folder.glob("*.json"))[:MAX_PROCESSES]:
        try:
            lines = decode(read_regular(file), (ExecutedLines,)).lines
            file.unlink()
        except (OSError, Malformed):
            continue  # also if its process was killed while writing
        yield from lines.items()
