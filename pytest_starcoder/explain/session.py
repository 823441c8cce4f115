"""Joins a pytest session to explain its failures before the short summary.

`FailureCapture` describes failures where tests run; `ExplainPlugin` collects the reports
and explains them. With xdist, workers have the former and the controller the latter.
Nothing here changes an outcome: errors become complaints.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.explain.complaints import Complaints
from pytest_starcoder.explain.hooks import PluginHooks
from pytest_starcoder.explain.report_outputs import ReportOutputs
from pytest_starcoder.session.project_history import project_of
from pytest_starcoder.session.session_tests import SessionTests
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.settings import Settings

if TYPE_CHECKING:
    from logging import LogRecord

    from pytest_starcoder.explain.assertions import Comparison
    from pytest_starcoder.explain.explainer import FinishedSession
    from pytest_starcoder.explain.explanation import Report
    from pytest_starcoder.explain.failure import Failure
    from pytest_starcoder.explain.fix_interface import MakeFixSearch
    from pytest_starcoder.explain.prefetch import Prefetch
    from pytest_starcoder.explain.recording import Recording
    from pytest_starcoder.explain.undo_interface import MakeUndoSearch
    from pytest_starcoder.model.backends.warm_engine import WarmEngine
    from pytest_starcoder.session.passed_commits import PassedCommits
    from pytest_starcoder.source.conventions import Conventions

MARKER = "starcoder_explain"

PHASES = ("setup", "call", "teardown", "collect")
"""pytest's phases; xdist calls that of a crashed worker "???"."""

CARRIED_FIELDS = ("starcoder_failure", "starcoder_complaints")
"""Attributes of reports that xdist carries to the controller."""

WORKER_SECRETS = "starcoder_secrets"
"""Key under which an xdist worker passes on the secrets it has seen."""

AnyReport = pytest.TestReport | pytest.CollectReport

Place = tuple[str, int]
"""A file and a line in it."""


class FailureCapture:
    """Describes failures in the process that runs the tests.

    The description becomes an attribute of pytest's report. `everything` is False if
    only tests with the marker are explained.
    """

    def __init__(
        self,
        config: pytest.Config,
        hooks: PluginHooks,
        complaints: Complaints,
        *,
        everything: bool,
        record: bool,
    ) -> None:
        self._config = config
        self._hooks = hooks
        self._complaints = complaints
        self._everything = everything
        self._is_worker = hasattr(config, "workerinput")
        self._project = project_of(config)
        self._comparison: tuple[Place | None, Comparison] | None = None
        self._recording: Recording | None = None
        if record:
            from pytest_starcoder.explain.recording import Recording

            self._recording = Recording.start(self._project.holds)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        # Before any fixture of the test: what they execute belongs to it.
        if self._recording is not None:
            self._recording.begin()

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        if self._recording is not None:
            self._recording.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Import early: a test may leave nothing to import with, or a file system of its own."""
        if self._everything:
            import pytest_starcoder.explain.capture  # noqa: F401

    @pytest.hookimpl
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        with self._complaints.contain("a comparison"):
            from pytest_starcoder.explain.assertions import Comparison

            # pytest asks while the assert is on the stack, and does not say which one it is.
            self._comparison = _assert_place(sys._getframe()), Comparison.of_values(op, left, right)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        with self._complaints.contain(item.nodeid):
            self._annotate(report, item, call)
        self._comparison = None
        return report

    def _annotate(
        self, report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> None:
        """Add the attributes that `ExplainPlugin` reads."""
        address = self._project.address_of(item.nodeid, item.path)
        # Attributes of a report reach the controller; user properties would reach JUnit files.
        if address != item.nodeid:
            vars(report)["starcoder_address"] = address
        # Looked up in one phase of a passed test only: the marker is rare, and tests are many.
        if report.when != "setup" and not report.failed:
            return
        mark = item.get_closest_marker(MARKER)
        if mark is not None:
            vars(report).update(_marker_attributes(mark))
        is_explained = self._everything or mark is not None
        if is_explained and report.failed and call.excinfo:
            exc, phase = call.excinfo.value, report.when or "call"
            self._attach_failure(report, item, exc, address, phase)

    def _attach_failure(
        self,
        report: pytest.TestReport,
        item: pytest.Item,
        exc: BaseException,
        address: str,
        phase: str,
    ) -> None:
        with self._complaints.contain(item.nodeid):
            failure = self._describe(exc, address, phase)
            extra = self._hooks.collect_evidence(item, item.path, failure)
            vars(report)["starcoder_failure"] = replace(failure, extra=extra).to_json()
        if self._is_worker:
            vars(report)["starcoder_complaints"] = list(self._complaints)

    def _describe(self, exc: BaseException, address: str, phase: str) -> Failure:
        from pytest_starcoder.explain.capture import capture_failure

        executed = self._recording.executed() if self._recording is not None else ()
        comparison = None
        if self._comparison is not None:
            place, last_comparison = self._comparison
            # It may have failed earlier, in an assert whose error was caught.
            if place == _raise_place(exc.__traceback__):
                comparison = last_comparison
        return capture_failure(
            exc,
            address,
            phase,
            self._project,
            comparison,
            executed,
            self._hooks.redactor,
            self._log_records(),
        )

    def describe_stop(self, exc: BaseException, test: str) -> tuple[str, ...]:
        """Return where a test was when it was interrupted; nothing if it was in no project code."""
        failure = self._describe(exc, test, "call")
        for frame in failure.frames[-1:]:
            place = f"{frame.path}:{frame.line} in {frame.function}"
            return f"{test} was interrupted at {place}: {frame.statement}", *failure.facts
        return ()

    def _log_records(self) -> Sequence[LogRecord]:
        """Return what the last phase of the test logged."""
        plugin = self._config.pluginmanager.get_plugin("logging-plugin")
        # An undocumented attribute: pytest offers the records only to a test's own fixture.
        handler = getattr(plugin, "caplog_handler", None)
        return getattr(handler, "records", ())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        # pytest's own `collect_one_node` reads this undocumented attribute, too.
        call = getattr(report, "call", None)
        if report.failed and self._everything and call is not None and call.excinfo:
            with self._complaints.contain(collector.nodeid):
                self._attach_collection_failure(report, collector, call.excinfo.value)
        return report

    def _attach_collection_failure(
        self, report: pytest.CollectReport, collector: pytest.Collector, exc: BaseException
    ) -> None:
        from pytest_starcoder.explain.capture import capture_failure

        address = self._project.address_of(collector.nodeid, collector.path)
        redactor = self._hooks.redactor
        failure = capture_failure(exc, address, "collect", self._project, redactor=redactor)
        vars(report)["starcoder_failure"] = failure.to_json()

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        """Pass the secrets of a worker to the controller: reports could be written to a file."""
        if self._is_worker and self._hooks.has_redactor:
            output: dict[str, Any] = getattr(self._config, "workeroutput", {})
            output[WORKER_SECRETS] = list(self._hooks.redactor.secrets)


class ExplainPlugin:
    """Collects the reports of one session, and explains its failures in the summary.

    If `everything` is False, only tests with the marker are explained. Raises
    pytest.UsageError for invalid settings if `everything`; else they are reported with
    the first failure.
    """

    def __init__(
        self,
        config: pytest.Config,
        keys: Sequence[str],
        make_fix_search: MakeFixSearch,
        make_undo_search: MakeUndoSearch,
        *,
        everything: bool,
    ) -> None:
        self._config = config
        self._make_fix_search = make_fix_search
        self._make_undo_search = make_undo_search
        self._everything = everything
        self._is_worker = hasattr(config, "workerinput")
        self._complaints = Complaints()
        self._hooks = PluginHooks(config.pluginmanager, self._complaints.add)
        self._environment = dict(os.environ)  # before any test can change it
        self._failures: list[Failure] = []
        self._tests = SessionTests()
        self._started = time.time()
        self._interrupted = False
        self._running = ""
        self._stopped: tuple[str, ...] = ()
        self._prefetch: Prefetch | None = None
        self._warm_engine: WarmEngine | None = None
        self._was_warmed_up = False
        self._outputs: ReportOutputs | None = None
        self._since: str = config.getoption("starcoder_since") or ""
        self._settings: Settings | StarcoderError
        try:
            self._check_since()
            self._outputs = self._make_outputs()
            self._settings = session_settings(config, keys)
        except StarcoderError as exc:
            if everything and not self._is_worker:
                raise pytest.UsageError(str(exc)) from exc
            self._settings = exc
        self.capture = FailureCapture(
            config,
            self._hooks,
            self._complaints,
            everything=everything,
            record=self._should_record(),
        )

    def _check_since(self) -> None:
        """Raise ConfigError if there is no commit to compare with."""
        if not self._since or self._is_worker:
            return
        from pytest_starcoder.source.git.comparison import Comparer

        if not Comparer(project_of(self._config).repository).commit(self._since):
            raise ConfigError(
                f"--starcoder-since: there is no commit {self._since!r} here.",
                "Check the name; in CI fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )

    def _make_outputs(self) -> ReportOutputs:
        getoption = self._config.getoption
        return ReportOutputs(
            self._config.invocation_params.dir,
            self._config.rootpath,
            getoption("starcoder_report"),
            getoption("xmlpath", None),
            getoption("junitprefix", None) or "",
            self._complaints.add,
        )

    def _should_record(self) -> bool:
        """Return whether to record executed code, as a substitute for running tests again."""
        if isinstance(self._settings, StarcoderError) or self._settings.replay:
            return False
        # xdist's controller runs no tests.
        runs_no_tests = not self._is_worker and self._config.getoption("numprocesses", None)
        return self._everything and not runs_no_tests

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        if self._prefetch is not None:
            self._prefetch.close()
        if self._warm_engine is not None:
            self._warm_engine.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        secrets = getattr(node, "workeroutput", {}).get(WORKER_SECRETS)
        if secrets:
            self._hooks.redactor.add(secrets)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        carried = self._take_carried(report)
        yield  # after other plugins: one of them fails the test of failing subtests
        self.add_report(report, carried)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> Generator[None, None, None]:
        carried = self._take_carried(report)
        yield
        self._add_failure(report, "collect", carried)

    def add_report(
        self, report: pytest.TestReport, carried: Mapping[str, Any] | None = None
    ) -> None:
        """Add a report, and the attributes that were taken from it before."""
        if carried is None:
            carried = self._take_carried(report)
        if not self._is_worker:
            self._tests.add(report)
            for complaint in carried.get("starcoder_complaints", ()):
                self._complaints.add(complaint)
        phase = report.when if report.when in PHASES else "call"
        self._add_failure(report, phase, carried)

    def _take_carried(self, report: AnyReport) -> dict[str, Any]:
        """Remove our attributes from a report, or pytest-reportlog would write them."""
        if self._is_worker:
            return {}  # the controller takes them
        attributes = vars(report)
        # Taken in the outermost wrapper, before any plugin that writes reports.
        carried = {}
        for name in CARRIED_FIELDS:
            if name in attributes:
                carried[name] = attributes.pop(name)
        return carried

    def _add_failure(self, report: AnyReport, phase: str, carried: Mapping[str, Any]) -> None:
        fields = carried.get("starcoder_failure")
        if self._is_worker or not report.failed or not (fields or self._everything):
            return
        with self._complaints.contain(report.nodeid):
            from pytest_starcoder.explain.capture import failure_from_report
            from pytest_starcoder.explain.failure import Failure

            # Without fields the failure has no exception, like a strict xpass or a crash.
            if fields:
                failure = Failure.from_json(fields)
            else:
                address = getattr(report, "starcoder_address", report.nodeid)
                failure = failure_from_report(address, phase, report.longreprtext)
            self._failures.append(failure)
            self._ask_early(failure)

    def _ask_early(self, failure: Failure) -> None:
        """Ask about a failure while tests run, if that is useful.

        Never with hooks that redact: the child that asks does not have them.
        """
        settings = self._settings
        if isinstance(settings, StarcoderError) or settings.early == "off":
            return
        # With --starcoder-show-prompt nothing may be sent.
        if self._hooks.redacts or self._config.getoption("starcoder_show_prompt"):
            return
        if self._shows_only_breakages():
            return
        from pytest_starcoder.explain.prefetch import Prefetch, should_prefetch

        if self._prefetch is None and should_prefetch(settings):
            self._prefetch = Prefetch(settings, self._config.rootpath)
        if self._prefetch is not None:
            self._prefetch.add(failure)

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running = nodeid

    @pytest.hookimpl
    def pytest_runtest_logfinish(self) -> None:
        self._running = ""
        # Not with the report: a file system that the test has replaced is back only now.
        if self._failures and not self._was_warmed_up:
            self._was_warmed_up = True
            self._warm_up()

    def _warm_up(self) -> None:
        """Let the embedded engine load its model while the other tests run."""
        settings = self._settings
        if isinstance(settings, StarcoderError) or settings.backend == "none":
            return
        if self._prefetch is not None or not settings.causes:
            return
        if self._shows_only_breakages() or self._config.getoption("starcoder_show_prompt"):
            return
        # What is wrong is reported where the model is asked.
        with contextlib.suppress(Exception):
            from pytest_starcoder.model.backends.warm_engine import WarmEngine

            self._warm_engine = WarmEngine.start(settings)

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # After collection errors, --maxfail or -x, pytest and xdist raise exceptions of this name.
        self._interrupted = type(excinfo.value).__name__ != "Interrupted"
        if self._interrupted and self._everything and self._running:
            with self._complaints.contain(self._running):
                self._stopped = self.capture.describe_stop(excinfo.value, self._running)

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        if self._everything and not self._is_worker:
            with self._complaints.contain("the tests that passed"):
                self._remember_passed()

    def _remember_passed(self) -> None:
        """Remember at which commit tests passed, so that later changes can be undone."""
        from pytest_starcoder.source.git.comparison import Comparer

        passed = [test.nodeid for test in self._tests.finished if test.outcome == "passed"]
        if not passed:
            return
        commit = Comparer(project_of(self._config).repository).clean_commit()
        if commit:
            self._passed_commits().add(passed, commit)

    def _passed_commits(self) -> PassedCommits:
        from pytest_starcoder.session.passed_commits import PassedCommits
        from pytest_starcoder.settings import cache_folder

        folder = None
        if isinstance(self._settings, Settings) and self._settings.cache != "off":
            folder = cache_folder(self._settings)
        return PassedCommits(folder, self._config.rootpath)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._is_worker:
            return
        for sentence in self._stopped:
            terminalreporter.write_line(f"StarCoder: {sentence}")
        has_files = self._outputs is not None and self._outputs.has_files
        if not (self._failures or self._complaints or has_files):
            return
        try:
            with self._complaints.contain("the failures"):
                report = self._explain(terminalreporter)
                if self._outputs is not None:
                    self._outputs.write(report, terminalreporter.write_line)
        except KeyboardInterrupt:
            # The second one, or one between two questions: pytest's own summary still comes.
            terminalreporter.write_line("\nStarCoder: interrupted.")
        for complaint in self._complaints:
            terminalreporter.write_line(f"StarCoder: {self._hooks.redactor.redact(complaint)}")

    def _explain(self, terminal: pytest.TerminalReporter) -> Report:
        from pytest_starcoder.explain.explainer import Explainer
        from pytest_starcoder.explain.explanation import Report
        from pytest_starcoder.explain.fix_interface import WriteOptions
        from pytest_starcoder.explain.terminal_section import TerminalSection
        from pytest_starcoder.model.client import Client
        from pytest_starcoder.session.terminal import TerminalQuestions

        if not self._failures:
            return Report((), 0)

        def write(text: str) -> None:
            terminal.write(text, flush=True)

        config = self._config
        width = config.get_terminal_writer().fullwidth
        section = TerminalSection(write, width, live=bool(terminal.isatty))
        explainer = Explainer(
            self._finish(),
            section,
            lambda heading: terminal.write_sep("=", heading, yellow=True),
            self._hooks,
            self._make_fix_search,
            self._make_undo_search,
            self._warm_engine.make_client if self._warm_engine else Client.from_settings,
        )
        if config.getoption("starcoder_show_prompt"):
            return explainer.show_prompts()
        if self._shows_only_breakages():
            return explainer.show_breakages()
        options = WriteOptions(
            apply=config.getoption("starcoder_apply"),
            add_tests=config.getoption("starcoder_write"),
            ask=TerminalQuestions(config, write).ask,
        )
        return explainer.explain(self._prefetch, options)

    def _shows_only_breakages(self) -> bool:
        """Return whether the user only wants to know which change broke the tests."""
        getoption = self._config.getoption
        wants_more = getoption("starcoder_explain") or getoption("starcoder_apply")
        return bool(getoption("starcoder_broke") and not wants_more)

    def _finish(self) -> FinishedSession:
        from pytest_starcoder.explain.explainer import FinishedSession
        from pytest_starcoder.session.command_line import rerun_arguments, session_launch
        from pytest_starcoder.session.project_history import ProjectHistory
        from pytest_starcoder.source.sources import SourceFiles

        return FinishedSession(
            failures=self._failures,
            tests=self._tests.finished,
            settings=self._settings,
            launch=session_launch(self._config, self._environment),
            sources=SourceFiles.below(self._config.rootpath),
            history=ProjectHistory(project_of(self._config)),
            conventions=self._conventions(),
            rerun_arguments=lambda nodeids: rerun_arguments(self._config, nodeids),
            interrupted=self._interrupted,
            since=self._since,
            wants_breakages=bool(self._since or self._config.getoption("starcoder_broke")),
            started=self._started,
            passed=self._passed_commits().read(),
            shows_all=self._config.getoption("verbose") > 0,
            fixes_all=self._writes_files(),
        )

    def _writes_files(self) -> bool:
        """Return whether fixes are written to files, and not only to the terminal."""
        has_reports = self._outputs is not None and self._outputs.has_files
        return has_reports or bool(self._config.getoption("starcoder_apply"))

    def _conventions(self) -> Conventions:
        """Return how this session tells tests from other code."""
        from pytest_starcoder.source.conventions import Conventions

        project = project_of(self._config)
        files = self._tests.files
        # Plugins of the project are support code of its tests: conftest files, mostly.
        for plugin in self._config.pluginmanager.get_plugins():
            file = getattr(plugin, "__file__", None)
            if file and project.holds(file):
                files.add(project.path_of(file))
        getini = self._config.getini
        return Conventions(
            frozenset(files),
            tuple(getini("python_files")),
            tuple(getini("python_functions")),
            tuple(getini("python_classes")),
            self._config.rootpath.name,
        )


def _marker_attributes(mark: pytest.Mark) -> dict[str, bool]:
    """Return the attributes of a report for the options that a marker switches off."""
    attributes = {}
    for option in ("replay", "fix"):
        if not mark.kwargs.get(option, True):
            attributes[f"starcoder_{option}"] = False
    return attributes


def _assert_place(frame: FrameType | None) -> Place | None:
    """Return the place of the assert that is being evaluated, searching outwards from `frame`."""
    # The rewritten assert calls this function of pytest, which calls our hook.
    while frame is not None and frame.f_code.co_name != "_call_reprcompare":
        frame = frame.f_back
    if frame is None or frame.f_back is None:
        return None
    return frame.f_back.f_code.co_filename, frame.f_back.f_lineno


def _raise_place(entry: TracebackType | None) -> Place | None:
    """Return where an exception with this traceback was raised."""
    if entry is None:
        return None
    while entry.tb_next is not None:
        entry = entry.tb_next
    return entry.tb_frame.f_code.co_filename, entry.tb_lineno
