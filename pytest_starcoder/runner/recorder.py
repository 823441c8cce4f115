"""The pytest plugin of a re-run: it traces tests, and writes each outcome as a test ends.

`--starcoder-job=FILE` names a file with a `RerunJob`.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from types import CodeType
from typing import Any, Literal, TypeVar

import pytest

from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.call_log import CallLog, TracedCall
from pytest_starcoder.runner.edited_source import serve_changed
from pytest_starcoder.runner.failure_trace import Executed, FailureTracer
from pytest_starcoder.runner.file_guard import guard_files
from pytest_starcoder.runner.item_sequence import ItemSequence
from pytest_starcoder.runner.outcome import (
    MISSING,
    Call,
    ExecutedLines,
    Lines,
    Outcome,
    VariableTypes,
)
from pytest_starcoder.runner.protocol import MessageFile
from pytest_starcoder.runner.rerun_job import RerunJob
from pytest_starcoder.runner.sandbox import enter_sandbox
from pytest_starcoder.runner.selection import Selection, StableNodeIds
from pytest_starcoder.runner.trace import (
    LineSets,
    TracedEnvironment,
    Tracer,
    hide_traces,
    read_processes,
    unite,
)
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line

T = TypeVar("T")

Place = tuple[str, int]
"""A file and a line of it."""

MAX_MESSAGE = 1000
"""Maximum characters of an exception's message."""

MAX_REASON = 200
"""Maximum characters of the reason why the run cannot start."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--starcoder-job", help="internal")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Set up before importing the project; if that fails, write the reason."""
    job = RerunJob.read(early_config.known_args_namespace.starcoder_job)
    if sys.platform == "win32":  # the parent interrupts by Ctrl-Break there
        signal.signal(signal.SIGBREAK, signal.default_int_handler)
    if job.sandbox:
        enter_sandbox(job.sandbox)
    guard = guard_files(early_config.pluginmanager, job.folder / "redirected")
    serve_changed(job.files)
    guard.serve(job.files)
    try:
        return (yield)
    except Exception as exc:
        message = str(exc).replace(f"{job.root}{os.sep}", "")
        reason = redact(one_line(message, MAX_REASON))
        with contextlib.suppress(Exception):
            job.problem.write_text(reason, "utf-8")
        raise


def pytest_configure(config: pytest.Config) -> None:
    job = RerunJob.read(config.getoption("starcoder_job"))
    project = Project(job.root, job.around)
    selection = Selection(job.tests)
    config.pluginmanager.register(selection, "starcoder-selection")
    config.pluginmanager.register(Recorder(job, project, selection), "starcoder-recorder")
    config.pluginmanager.register(StableNodeIds(project), "starcoder-node-ids")


class Recorder:
    """Traces the tests of a job, and writes what collecting them executed, then each outcome."""

    def __init__(self, job: RerunJob, project: Project, selection: Selection) -> None:
        self._job = job
        self._project = project
        self._selection = selection
        self._outcomes = MessageFile(job.outcomes)
        self._processes = job.folder / "processes"
        self._processes.mkdir()
        self._environment = TracedEnvironment(job.root, self._processes)
        hide_traces(project.holds)
        self._tracer = Tracer(project.holds)
        # By identity, since fixture definitions may not be hashable. Holding them keeps ids unique.
        self._fixtures: dict[int, tuple[object, dict[str, set[int]]]] = {}
        self._secrets: set[str] = set()
        self._first_outcomes: dict[str, Outcome] = {}
        self._first_places: dict[str, Place] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._exceptions: dict[str, BaseException] = {}
        self._skip_reasons: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Record the lines that imports execute: any test may depend on them."""
        self._tracer.start()
        try:
            return (yield)
        finally:
            self._tracer.stop()
            self._outcomes.append(ExecutedLines(self._by_path(self._tracer.lines)))
            for nodeid, reason in self._selection.missing.items():
                self._outcomes.append(Outcome(nodeid, MISSING, message=redact(reason)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Replace pytest's own loop, and those of plugins that run tests elsewhere."""
        sequence = ItemSequence(session, self._project)
        sequence.run(self._job.tracing, self._first_outcomes)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._tracer = self._new_tracer(item)
        try:
            return (yield)
        finally:
            with contextlib.suppress(Exception):
                self._write_outcome(item)

    def _new_tracer(self, item: pytest.Item) -> Tracer:
        if item.nodeid in self._job.tracing.calls:
            return FailureTracer(self._project.holds, _test_code(item), self._secrets)
        return Tracer(self._project.holds, record_arcs=self._job.tracing.arcs)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def _trace_phase(self, item: pytest.Item) -> Generator[None, None, None]:
        # Code that tears down a failed test did not cause the failure.
        has_failed = any(report.failed for report in self._reports.get(item.nodeid, ()))
        is_traced = item.nodeid in self._job.tracing.lines and not has_failed
        environment: Any = os.environ  # a test may replace it
        if is_traced:
            with contextlib.suppress(Exception):
                self._environment.add_to(environment)
            self._tracer.start()
        try:
            return (yield)
        finally:
            if is_traced:
                self._tracer.stop()
            # Also after an untraced test: a wider fixture may restore those of a traced one.
            for variables in (environment, os.environ):
                with contextlib.suppress(Exception):
                    self._environment.remove_from(variables)
            with contextlib.suppress(Exception):
                self._add_lines_of_processes()

    pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _trace_phase

    def _add_lines_of_processes(self) -> None:
        for file, lines in read_processes(self._processes):
            if self._project.holds(file):
                self._tracer.add(file, lines)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """Record the lines of a fixture by itself: they count for every test that uses it."""
        with self._tracer.separate() as lines:
            self._fixtures[id(fixturedef)] = (fixturedef, lines)
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        # The exception is kept: its type and message are in no report.
        with contextlib.suppress(Exception):  # other plugins may return other kinds of reports
            self._reports.setdefault(item.nodeid, []).append(report)
            if report.failed and call.excinfo is not None:
                self._exceptions.setdefault(item.nodeid, call.excinfo.value)
            elif report.skipped and call.excinfo is not None:
                self._skip_reasons[item.nodeid] = _message(call.excinfo.value)
        return report

    def _write_outcome(self, item: pytest.Item) -> None:
        reports = self._reports.pop(item.nodeid, [])
        exception = self._exceptions.pop(item.nodeid, None)
        try:
            outcome = self._outcome(item, reports, exception)
        except Exception:  # noqa: BLE001 - lose the executed lines, not the outcome
            outcome = Outcome(item.nodeid, _result(reports))
        place = _place(exception)
        first = self._first_outcomes.setdefault(item.nodeid, outcome)
        first_place = self._first_places.setdefault(item.nodeid, place)
        if first is not outcome:
            has_failed_alike = outcome.exception == first.exception and place == first_place
            if not (outcome.failed and has_failed_alike):
                return
            outcome = replace(outcome, only_first=_without(first.lines, outcome.lines))
        self._outcomes.append(outcome)

    def _outcome(
        self, item: pytest.Item, reports: list[pytest.TestReport], exception: BaseException | None
    ) -> Outcome:
        seconds = 0.0
        for report in reports:
            seconds += report.duration
        name, message = "", self._skip_reasons.pop(item.nodeid, "")
        if exception is not None:
            name, message = type(exception).__name__, _message(exception)
        outcome = Outcome(
            item.nodeid,
            _result(reports),
            seconds=round(seconds, 6),
            exception=name,
            message=message,
            arcs=self._by_path(self._tracer.arcs),
        )
        lines = self._tracer.lines
        if isinstance(self._tracer, FailureTracer):
            executed = self._tracer.executed(exception)
            lines = executed.lines
            outcome = self._with_trace(outcome, executed, self._tracer.log)
        lines = unite([lines, *self._fixture_lines(item)])
        return replace(
            outcome, lines=self._by_path(lines), message=redact(message, outcome.secrets)
        )

    def _with_trace(self, outcome: Outcome, executed: Executed, log: CallLog) -> Outcome:
        entered = []
        for code in executed.entered:
            entered.append((self._project.path_of(code.co_filename), code.co_firstlineno))
        return replace(
            outcome,
            late_lines=self._by_path(executed.late),
            unchecked_lines=self._by_path(executed.unchecked),
            entered=tuple(entered),
            calls=tuple(self._calls(log.calls(mark_late=bool(executed.late)), log.secrets)),
            types=tuple(self._types(log)),
            secrets=tuple(sorted(log.secrets)),
        )

    def _fixture_lines(self, item: pytest.Item) -> Iterator[LineSets]:
        """Yield the lines of the fixtures of a test, even if another test set them up."""
        if item.nodeid not in self._job.tracing.lines:
            return
        # Only Python tests have fixtures.
        fixture_info = getattr(item, "_fixtureinfo", None)
        fixtures = getattr(fixture_info, "name2fixturedefs", {})
        for definition in chain.from_iterable(fixtures.values()):
            if id(definition) in self._fixtures:
                _, fixture_lines = self._fixtures[id(definition)]
                yield fixture_lines

    def _calls(self, calls: Iterable[TracedCall], secrets: Collection[str]) -> Iterator[Call]:
        for call in calls:
            code = call.code
            caller = ("", 0)
            if self._project.holds(call.caller):
                caller = (self._project.path_of(call.caller), call.line)
            yield Call(
                self._project.path_of(code.co_filename),
                code.co_firstlineno,
                code.co_qualname.replace(".<locals>", ""),
                redact(call.arguments, secrets),
                redact(call.outcome, secrets),
                caller,
                call.late,
            )

    def _types(self, log: CallLog) -> Iterator[VariableTypes]:
        for code, variables in log.types.items():
            path = self._project.path_of(code.co_filename)
            names = {name: frozenset(type_names) for name, type_names in variables.items()}
            yield VariableTypes(path, code.co_firstlineno, names)

    def _by_path(self, by_file: Mapping[str, set[T]]) -> dict[str, frozenset[T]]:
        """Return lines or arcs by the paths that the project uses."""
        by_path = {}
        for file, entries in by_file.items():
            by_path[self._project.path_of(file)] = frozenset(entries)
        return by_path


def _test_code(item: pytest.Item) -> CodeType | None:
    """Return the code of the test function inside its decorators."""
    function = getattr(item, "obj", None)
    with contextlib.suppress(Exception):
        function = inspect.unwrap(function)  # type: ignore[arg-type]
    return getattr(function, "__code__", None)


def _place(exception: BaseException | None) -> Place:
    """Return the file and line that raised an exception."""
    traceback = exception.__traceback__ if exception is not None else None
    place = "", 0
    while traceback is not None:
        place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def _without(lines: Lines, others: Lines) -> Lines:
    """Return the lines that are not among `others`."""
    rest = {}
    for path, numbers in lines.items():
        remaining = numbers - others.get(path, frozenset())
        if remaining:
            rest[path] = remaining
    return rest


def _result(reports: list[pytest.TestReport]) -> Literal["failed", "skipped", "passed"]:
    results = {report.outcome for report in reports}
    if "failed" in results:
        return "failed"
    if "skipped" in results:
        return "skipped"
    return "passed" if "passed" in results else "failed"


def _message(exception: BaseException) -> str:
    try:
        return str(exception)[:MAX_MESSAGE].encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - somebody's __str__ may raise anything
        return ""
