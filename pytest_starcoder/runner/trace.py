"""Traces the lines of the project's files that a test executes.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.runner.outcome import ExecutedLines
from pytest_starcoder.runner.protocol import Malformed, decode, encode, read_regular
from pytest_starcoder.source.project import in_project

MAX_PROCESSES = 1000
"""Maximum number of processes per test whose lines are read."""

# Variables for the Python processes of a test: what to trace, and where to write the lines.
ROOT_VARIABLE = "STARCODER_TRACED_ROOT"
FOLDER_VARIABLE = "STARCODER_TRACED_FOLDER"

LineSets = dict[str, set[int]]
"""Executed lines by file name."""

LocalTrace = Callable[[FrameType, str, Any], Any]
TraceFunction = Callable[..., Any]

_gettrace, _settrace = sys.gettrace, sys.settrace


class Tracer:
    """Records execution between `start` and `stop` in files for which `is_traced(name)` is true.

    `lines` maps file names to executed lines.
    With `record_arcs`, `arcs` are pairs of lines of which one ran right after the other in one
    call, 0 for its end.
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
        self._files: dict[str, bool] = {}
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded."""
        self.lines: LineSets = {}
        self.arcs: dict[str, set[tuple[int, int]]] = {}

    def add(self, file: str, lines: Iterable[int]) -> None:
        """Add lines that another process executed."""
        self.lines.setdefault(file, set()).update(lines)

    def start(self) -> None:
        threading.settrace(self._trace_call)
        _settrace(self._trace_call)

    def stop(self) -> None:
        """Stop recording, but keep a trace function that the test has set."""
        if _gettrace() == self._trace_call:
            _settrace(None)
        if threading.gettrace() == self._trace_call:
            threading.settrace(None)

    @contextlib.contextmanager
    def separate(self) -> Iterator[LineSets]:
        """Record lines in a separate dictionary, and add them to the others at the end."""
        before = self.lines
        lines = self.lines = {}
        try:
            yield lines
        finally:
            add_lines(before, lines)
            self.lines = before

    def _trace_call(self, frame: FrameType, _event: str, _arg: Any) -> LocalTrace | None:
        # Called for every call of any function: it decides quickly.
        if not self._is_traced_code(frame.f_code):
            return None
        return self._arc_tracer() if self._record_arcs else self.trace_line

    def _is_traced_code(self, code: CodeType) -> bool:
        is_traced = self._files.get(code.co_filename)
        if is_traced is None:
            is_traced = self._files[code.co_filename] = self._is_traced_file(code.co_filename)
        if not is_traced:
            return False
        # Only code of functions is optimized; that of modules and classes is not.
        return not self._functions_only or bool(code.co_flags & inspect.CO_OPTIMIZED)

    def _is_traced_file(self, filename: str) -> bool:
        """Return `is_traced(filename)`; False for an invalid path, e.g. with a null character."""
        try:
            return self._is_traced(filename)
        except Exception:  # noqa: BLE001 - an exception in a trace function would reach the test
            return False

    # Called for every line: the repeated expression costs less than another call.

    def trace_line(self, frame: FrameType, event: str, _arg: Any) -> LocalTrace:
        if event == "line":
            self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self.trace_line

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


def hide_traces(is_project: Callable[[str], bool]) -> None:
    """Hide our trace functions from project files, which may use `sys.settrace` themselves.

    For them, `sys.gettrace` returns None, and `sys.settrace(None)` restores our trace function.
    `is_project` returns whether a file is the project's own.
    """

    def gettrace() -> TraceFunction | None:
        trace = _gettrace()
        if _is_ours(trace) and is_project(sys._getframe(1).f_code.co_filename):
            return None
        return trace

    def settrace(function: TraceFunction | None) -> None:
        ours = threading.gettrace()
        if function is None and _is_ours(ours):
            function = ours
        _settrace(function)

    sys.gettrace, sys.settrace = gettrace, settrace


def _is_ours(trace: TraceFunction | None) -> bool:
    return isinstance(getattr(trace, "__self__", None), Tracer)


def add_lines(lines: LineSets, more: Mapping[str, Iterable[int]]) -> None:
    """Add `more` lines to `lines`."""
    for file, numbers in more.items():
        lines.setdefault(file, set()).update(numbers)


def unite(traces: Iterable[LineSets]) -> LineSets:
    """Return all lines of several traces."""
    united: LineSets = {}
    for lines in traces:
        add_lines(united, lines)
    return united


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
    tracer.start()


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
