"""What a test executes: the lines of the project's files, and the first calls of each function with their values.

By `sys.settrace`, in the thread of the test, in those that it starts, and in the Pythons that it starts.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.redaction.redactor import secret_values
from pytest_starcoder.runner.protocol import Malformed, message_of, parsed, read_regular
from pytest_starcoder.source.project import in_project
from pytest_starcoder.text.reprs import short_repr

CALLS = 4
"""Calls of one function whose values are kept; loops call the same one thousands of times."""

ALL_CALLS = 200
"""Calls whose values are kept of one test."""

ARGUMENTS = 160
"""Characters of one call's arguments."""

ROOT, FOLDER = "STARCODER_TRACED_ROOT", "STARCODER_TRACED_FOLDER"
"""Variables that tell the Pythons which a test starts what to trace, and where their lines go."""

MAX_PROCESSES = 1000
"""Maximum number of processes per test whose lines are read."""

OPTIMIZED = 0x1
"""The flag of code that is a function's (inspect.CO_OPTIMIZED)."""

Local = Callable[[FrameType, str, Any], Any]


class Tracer:
    """Records between `start` and `stop`; `wanted` tells by its name whether a file is the project's own.

    `lines` maps file names to executed lines, `calls` holds the calls in the
    order in which they began: code, arguments, outcome. Both may be replaced
    by empty ones at any time, to tell what ran in between. `steps` are pairs of lines of which one ran
    right after the other in one call, 0 for its end; kept with the option of that name, of calls without values.
    `types` are those of the variables of functions whose calls were kept, by name, when they ended. `secrets` are
    values that secret-looking names had in those calls and their modules. With `functions_only`
    the bodies of modules and classes do not count: they run in every process.
    """

    def __init__(
        self, wanted: Callable[[str], bool], *, functions_only: bool = False, steps: bool = False
    ) -> None:
        self._wanted = wanted
        self._functions_only = functions_only
        self._steps = steps
        self.lines: dict[str, set[int]] = {}
        self.steps: dict[str, set[tuple[int, int]]] = {}
        self.calls: list[list[Any]] = []
        self.types: dict[CodeType, dict[str, set[str]]] = {}
        self.secrets: set[str] = set()
        self._files: dict[str, bool] = {}
        self._hits: dict[int, int] = {}
        self._values = False

    def start(self, *, values: bool) -> None:
        """Records from here on, calls if `values`."""
        self._hits, self._values = {}, values
        threading.settrace(self._called)
        sys.settrace(self._called)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _called(self, frame: FrameType, event: str, _arg: Any) -> Local | None:
        code = frame.f_code
        filename = code.co_filename
        wanted = self._files.get(filename)
        if wanted is None:
            wanted = self._files[filename] = self._is_wanted(filename)
        if (
            not wanted
            or event != "call"
            or (self._functions_only and not code.co_flags & OPTIMIZED)
        ):
            return None
        if not self._values:
            return self._stepping() if self._steps else self._line
        hits = self._hits[id(code)] = self._hits.get(id(code), 0) + 1
        if hits <= CALLS and len(self.calls) < ALL_CALLS and code.co_name[:1] != "<":
            return self._valued(frame, code)
        return self._line

    def _is_wanted(self, filename: str) -> bool:
        """Return `wanted(name)`; False for an invalid path, e.g. with a null character."""
        try:
            return self._wanted(filename)
        except Exception:  # noqa: BLE001 - an exception in a trace function would reach the test
            return False

    def _stepping(self) -> Local:
        before = 0

        def local(frame: FrameType, event: str, arg: Any) -> Local:
            nonlocal before
            filename, now = frame.f_code.co_filename, frame.f_lineno
            if event == "line":
                self.lines.setdefault(filename, set()).add(now)
            if before and event in ("line", "return"):
                self.steps.setdefault(filename, set()).add((before, now if event == "line" else 0))
            if event == "line":
                before = now
            elif event == "exception" and arg[0] is not StopIteration:
                before = 0  # it does not go on from here as the text says
            return local

        return local

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Local:
        if event == "line":
            self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self._line

    def _valued(self, frame: FrameType, code: CodeType) -> Local:
        """A call whose arguments are kept now, and its outcome once it is there."""
        call = [code, self._arguments(frame, code), "did not return"]
        self.calls.append(call)
        self._note(frame.f_globals)
        raised = ""

        def local(frame: FrameType, event: str, arg: Any) -> Local:
            nonlocal raised
            if event == "line":
                raised = ""
                self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            elif event == "exception":
                raised = arg[0].__name__
            elif event == "return":
                self._note(frame.f_locals)
                kinds = self.types.setdefault(code, {})
                for name, value in frame.f_locals.items():
                    kinds.setdefault(name, set()).add(type(value).__name__)
                if raised:
                    call[2] = f"raised {raised}"
                else:
                    call[2] = f"returned {self._quiet(arg)}"
            return local

        return local

    def _note(self, named: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # the test's own mapping may raise anything
            self.secrets.update(secret_values(named))

    def _arguments(self, frame: FrameType, code: CodeType) -> str:
        count = (
            code.co_argcount
            + code.co_kwonlyargcount
            + bool(code.co_flags & 4)
            + bool(code.co_flags & 8)
        )
        shown = []
        for name in code.co_varnames[:count]:
            if name in frame.f_locals and name not in ("self", "cls"):
                shown.append(f"{name}={self._quiet(frame.f_locals[name])}")
        told = ", ".join(shown)
        return told if len(told) <= ARGUMENTS else told[: ARGUMENTS - 1] + "…"

    def _quiet(self, value: object) -> str:
        """`short_repr`, whose own run is no part of the test's."""
        sys.settrace(None)
        try:
            return short_repr(value)
        finally:
            sys.settrace(self._called)


class TracedEnvironment:
    """Environment that makes Python trace files below `root` and write the lines to `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._names = {ROOT: str(root), FOLDER: str(folder)}
        self._startup = str(Path(__file__).parent / "startup")
        self._had_empty_path = os.environ.get("PYTHONPATH") == ""

    def put(self, environment: MutableMapping[str, str]) -> None:
        """Add our variables to the current ones of the test."""
        path = environment.get("PYTHONPATH", "")
        environment.update(self._names)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (self._startup, path)))

    def take(self, environment: MutableMapping[str, str]) -> None:
        """Remove our variables, wherever the test copied them, and nothing else."""
        for name in self._names:
            environment.pop(name, None)
        path = environment.get("PYTHONPATH")
        if path is None or self._startup not in path.split(os.pathsep):
            return
        folders = [folder for folder in path.split(os.pathsep) if folder != self._startup]
        if folders or self._had_empty_path:
            environment["PYTHONPATH"] = os.pathsep.join(folders)
        else:
            del environment["PYTHONPATH"]


def trace_process(environment: Mapping[str, str]) -> None:
    """Traces this process to its end, where the environment says so."""
    if not (environment.get(ROOT) and environment.get(FOLDER)):
        return
    root, folder = Path(environment[ROOT]), Path(environment[FOLDER])
    tracer = Tracer(
        lambda filename: in_project(str(Path(filename).absolute()), root), functions_only=True
    )

    def write() -> None:
        tracer.stop()
        found = {
            str(Path(file).absolute()): sorted(lines) for file, lines in list(tracer.lines.items())
        }
        (folder / f"{os.getpid()}.json").write_text(json.dumps(found), "utf-8")

    atexit.register(write)
    tracer.start(values=False)


def traced_processes(folder: Path) -> Iterator[tuple[str, frozenset[int]]]:
    """Yield the files and lines executed by Python processes that have ended, each once.

    Tests started those processes and may have put anything into the folder: anything but
    small files with lines is ignored.
    """
    for written in sorted(folder.glob("*.json"))[:MAX_PROCESSES]:
        try:
            lines = parsed(message_of(read_regular(written)), Mapping[str, frozenset[int]])
            written.unlink()
        except (OSError, Malformed):
            continue  # also if its process was killed while writing
        yield from lines.items()
