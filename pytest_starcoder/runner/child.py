"""The only code of ours inside a child: a pytest plugin that traces tests, and writes each outcome when it is there.

`--starcoder-job=FILE` names what `run` wrote: which tests to trace, the root, where the outcomes go.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.runner.confine import Confinement, confine
from pytest_starcoder.runner.served import serve_changed
from pytest_starcoder.runner.trace import Tracer, traced_environment, traced_processes
from pytest_starcoder.text.redact import redact
from pytest_starcoder.text.shown import in_project


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--starcoder-job", help="internal")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before anything of the project's is imported."""
    job = json.loads(Path(early_config.known_args_namespace.starcoder_job).read_text("utf-8"))
    if job["confinement"]:
        confine(Confinement.from_json(job["confinement"]))
    serve_changed(job["files"])


def pytest_configure(config: pytest.Config) -> None:
    job = json.loads(Path(config.getoption("starcoder_job")).read_text("utf-8"))
    config.pluginmanager.register(Recorder(job), "starcoder-recorder")


class Recorder:
    """Traces the tests of a job; writes a line of JSON on what collecting them executed, then one for each outcome."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._root = Path(job["root"])
        self._traced = set(job["trace"])
        self._valued = set(job["values"])
        self._path = Path(job["outcomes"])
        self._folder = self._path.parent / "processes"
        self._folder.mkdir()
        self._variables = traced_environment(self._root, self._folder)
        self._tracer = Tracer(lambda filename: in_project(filename, self._root), steps=job["steps"])
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
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._numbers(self._tracer.lines)) + "\n")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._tracer.lines, self._tracer.calls, self._tracer.types, self._tracer.steps = {}, [], {}, {}
        try:
            return (yield)
        finally:
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
        if item.nodeid not in self._traced:
            return (yield)
        before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)
        self._tracer.start(values=item.nodeid in self._valued)
        try:
            return (yield)
        finally:
            self._tracer.stop()
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            for file, lines in traced_processes(self._folder):
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
        self._reports.setdefault(item.nodeid, []).append(report)
        if report.failed and call.excinfo is not None:
            self._exceptions.setdefault(item.nodeid, call.excinfo.value)
        return report

    def _write(self, item: pytest.Item) -> None:
        reports = self._reports.pop(item.nodeid, [])
        exception = self._exceptions.pop(item.nodeid, None)
        lines = self._tracer.lines
        if item.nodeid in self._traced:
            for definitions in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values():
                for definition in definitions:
                    lines = _united(lines, self._fixtures.get(id(definition), (None, {}))[1])
        fields = {
            "nodeid": item.nodeid,
            "outcome": _outcome(reports),
            "seconds": round(sum(report.duration for report in reports), 6),
            "exception": type(exception).__name__ if exception is not None else "",
            "message": redact(_message(exception), self._tracer.secrets),
            "secrets": sorted(self._tracer.secrets),
            "lines": self._numbers(lines),
            "steps": {self._relative(file): sorted(steps) for file, steps in self._tracer.steps.items()},
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
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")

    def _numbers(self, lines: dict[str, set[int]]) -> dict[str, list[int]]:
        return {self._relative(file): sorted(numbers) for file, numbers in lines.items()}

    def _relative(self, filename: str) -> str:
        return Path(filename).relative_to(self._root).as_posix()


def _united(one: dict[str, set[int]], other: dict[str, set[int]]) -> dict[str, set[int]]:
    return {file: one.get(file, set()) | other.get(file, set()) for file in {**one, **other}}


def _outcome(reports: list[pytest.TestReport]) -> str:
    outcomes = {report.outcome for report in reports}
    return next((outcome for outcome in ("failed", "skipped", "passed") if outcome in outcomes), "failed")


def _message(exception: BaseException | None) -> str:
    try:
        return "" if exception is None else str(exception)[:1000].encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - somebody's __str__ may raise anything
        return ""
