"""The only code of ours inside a child: a pytest plugin that traces tests, and writes each outcome when it is there.

`--starcoder-job=FILE` names what `run` wrote: which tests to trace, the root, where the outcomes go.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Generator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.edited_source import serve_changed
from pytest_starcoder.runner.file_guard import keep_files
from pytest_starcoder.runner.outcome import MISSING
from pytest_starcoder.runner.protocol import LineFile
from pytest_starcoder.runner.sandbox import Sandbox, confine
from pytest_starcoder.runner.selection import Protocol, Selection
from pytest_starcoder.runner.test_names import Renamed
from pytest_starcoder.runner.trace import TracedEnvironment, Tracer, traced_processes
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--starcoder-job", help="internal")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Set up before importing the project; if that fails, write the reason."""
    job = json.loads(Path(early_config.known_args_namespace.starcoder_job).read_text("utf-8"))
    if sys.platform == "win32":  # interrupted by Ctrl-Break there
        signal.signal(signal.SIGBREAK, signal.default_int_handler)
    if job["confinement"]:
        confine(Sandbox.from_json(job["confinement"]))
    keep_files(early_config.pluginmanager, Path(job["outcomes"]).parent / "aside")
    serve_changed(job["files"])
    try:
        return (yield)
    except Exception as exc:
        with contextlib.suppress(Exception):
            Path(job["problem"]).write_text(
                redact(one_line(str(exc).replace(job["root"] + os.sep, ""), 200)), "utf-8"
            )
        raise


def pytest_configure(config: pytest.Config) -> None:
    job = json.loads(Path(config.getoption("starcoder_job")).read_text("utf-8"))
    selection = Selection(job["tests"])
    recorder = Recorder(job, selection)
    config.pluginmanager.register(selection, "starcoder-selection")
    config.pluginmanager.register(recorder, "starcoder-recorder")
    config.pluginmanager.register(Renamed(recorder.project), "starcoder-renamed")


class Recorder:
    """Traces the tests of a job; writes a line of JSON on what collecting them executed, then one for each outcome."""

    def __init__(self, job: dict[str, Any], selection: Selection) -> None:
        self._root = Path(job["root"])
        self.project = Project(self._root, tuple(map(Path, job["around"])))
        self._selection = selection
        self._traced = set(job["trace"])
        self._valued = set(job["values"])
        self._outcomes = LineFile(Path(job["outcomes"]))
        self._folder = Path(job["outcomes"]).parent / "processes"
        self._folder.mkdir()
        self._variables = TracedEnvironment(self._root, self._folder)
        self._tracer = Tracer(self.project.holds, steps=job["steps"])
        self._fixtures: dict[int, tuple[Any, dict[str, set[int]]]] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._exceptions: dict[str, BaseException] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """What runs while modules are imported counts for every test, for which one needs it nobody knows."""
        self._tracer.start(values=False)
        try:
            return (yield)
        finally:
            self._tracer.stop()
            self._outcomes.append({"imported": self._numbers(self._tracer.lines)})
            for nodeid, reason in self._selection.missing.items():
                self._outcomes.append(_untraced(nodeid, MISSING, redact(reason)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Replace pytest's own loop, and those of plugins that run tests elsewhere."""
        protocol = Protocol(session.config, self.project)
        for item, following in zip_longest(session.items, session.items[1:]):
            protocol.run(item, following)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._tracer.lines, self._tracer.calls, self._tracer.types, self._tracer.steps = (
            {},
            [],
            {},
            {},
        )
        try:
            return (yield)
        finally:
            with contextlib.suppress(Exception):
                self._write(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        return (yield from self._traced_phase(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        return (yield from self._traced_phase(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        return (yield from self._traced_phase(item))

    def _traced_phase(self, item: pytest.Item) -> Generator[None, None, None]:
        traced = item.nodeid in self._traced
        environment: Any = os.environ  # a test may replace it
        if traced:
            with contextlib.suppress(Exception):
                self._variables.put(environment)
            self._tracer.start(values=item.nodeid in self._valued)
        try:
            return (yield)
        finally:
            if traced:
                self._tracer.stop()
            # Also after an untraced test: a wider fixture may restore what a traced one had.
            for variables in (environment, os.environ):
                with contextlib.suppress(Exception):
                    self._variables.take(variables)
            with contextlib.suppress(Exception):
                for file, lines in traced_processes(self._folder):
                    if self.project.holds(file):
                        self._tracer.lines.setdefault(file, set()).update(lines)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """What a fixture executes counts for every test that has it: only the first one sets it up."""
        before, self._tracer.lines = self._tracer.lines, {}
        try:
            return (yield)
        finally:
            own = self._tracer.lines
            self._fixtures[id(fixturedef)] = (fixturedef, own)
            self._tracer.lines = _united(before, own)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        with contextlib.suppress(Exception):  # other plugins may return other kinds of reports
            self._reports.setdefault(item.nodeid, []).append(report)
            if report.failed and call.excinfo is not None:
                self._exceptions.setdefault(item.nodeid, call.excinfo.value)
        return report

    def _write(self, item: pytest.Item) -> None:
        reports = self._reports.pop(item.nodeid, [])
        exception = self._exceptions.pop(item.nodeid, None)
        try:
            fields = self._fields(item, reports, exception)
        except Exception:  # noqa: BLE001 - lose the executed lines, not the outcome
            fields = _untraced(item.nodeid, _outcome(reports))
        self._outcomes.append(fields)

    def _fields(
        self, item: pytest.Item, reports: list[pytest.TestReport], exception: BaseException | None
    ) -> dict[str, Any]:
        lines = self._tracer.lines
        if item.nodeid in self._traced:
            for definitions in getattr(
                getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}
            ).values():
                for definition in definitions:
                    lines = _united(lines, self._fixtures.get(id(definition), (None, {}))[1])
        return {
            "nodeid": item.nodeid,
            "outcome": _outcome(reports),
            "seconds": round(sum(report.duration for report in reports), 6),
            "exception": type(exception).__name__ if exception is not None else "",
            "message": redact(_message(exception), self._tracer.secrets),
            "secrets": sorted(self._tracer.secrets),
            "lines": self._numbers(lines),
            "steps": {
                self._relative(file): sorted(steps) for file, steps in self._tracer.steps.items()
            },
            "types": [
                [
                    self._relative(code.co_filename),
                    code.co_firstlineno,
                    {name: sorted(kinds) for name, kinds in names.items()},
                ]
                for code, names in self._tracer.types.items()
            ],
            "calls": [
                {
                    "path": self._relative(code.co_filename),
                    "line": code.co_firstlineno,
                    "function": code.co_qualname.replace(".<locals>", ""),
                    "arguments": redact(arguments, self._tracer.secrets),
                    "outcome": redact(outcome, self._tracer.secrets),
                }
                for code, arguments, outcome in self._tracer.calls
            ],
        }

    def _numbers(self, lines: dict[str, set[int]]) -> dict[str, list[int]]:
        return {self._relative(file): sorted(numbers) for file, numbers in lines.items()}

    def _relative(self, filename: str) -> str:
        return self.project.path_of(filename)


def _untraced(nodeid: str, outcome: str, message: str = "") -> dict[str, Any]:
    """Return the fields of a test about which nothing else is known."""
    fields: dict[str, Any] = {"nodeid": nodeid, "outcome": outcome, "seconds": 0.0, "exception": ""}
    return fields | {"message": message, "lines": {}, "steps": {}, "types": [], "calls": []}


def _united(one: dict[str, set[int]], other: dict[str, set[int]]) -> dict[str, set[int]]:
    return {file: one.get(file, set()) | other.get(file, set()) for file in {**one, **other}}


def _outcome(reports: list[pytest.TestReport]) -> str:
    outcomes = {report.outcome for report in reports}
    return next(
        (outcome for outcome in ("failed", "skipped", "passed") if outcome in outcomes), "failed"
    )


def _message(exception: BaseException | None) -> str:
    try:
        return (
            ""
            if exception is None
            else str(exception)[:1000].encode("utf-8", "backslashreplace").decode()
        )
    except Exception:  # noqa: BLE001 - somebody's __str__ may raise anything
        return ""
