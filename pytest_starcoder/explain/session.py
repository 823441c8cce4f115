"""Joins a pytest session to explain its failures: collects them live, and has them told before the summary.

Under xdist the workers attach what they saw to their reports, and the
controller alone asks. Nothing here changes an outcome: what goes wrong in this
file is a line in its own section.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.hooks import Others
from pytest_starcoder.explain.outputs import Written
from pytest_starcoder.session.project import project_of
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.session.tests import SessionTests
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.explain.assertions import Comparison
    from pytest_starcoder.explain.failure import Failure
    from pytest_starcoder.explain.prefetch import Prefetch
    from pytest_starcoder.explain.recording import Recording

MARKER = "starcoder_explain"

PHASES = ("setup", "call", "teardown", "collect")
"""Pytest's; xdist calls that of a crashed worker "???"."""

SECRETS = "starcoder_secrets"
"""Key under which an xdist worker passes on the secrets it has seen."""

Place = tuple[str, int]
"""A file and a line in it."""


class Explainer:
    """The plugin object of one session; `everything` is whether tests without the marker are explained too.

    Raises pytest.UsageError for settings that cannot be used, if `everything`:
    a run that was asked to explain says at once that it cannot.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str], *, everything: bool) -> None:
        self._config = config
        self._everything = everything
        self._worker = hasattr(config, "workerinput")
        self._compared: tuple[Place | None, Comparison] | None = None
        self._failures: list[Failure] = []
        self._tests = SessionTests()
        self._environment = dict(os.environ)  # before any test can change it
        self._troubles: dict[str, None] = {}
        self._others = Others(config, self._complain)
        self._interrupted = False
        self._project = project_of(config)
        self._settings: Settings | StarcoderError
        try:
            self._written = Written(config, self._complain)
            self._settings = session_settings(config, keys)
        except StarcoderError as exc:
            if everything and not self._worker:
                raise pytest.UsageError(str(exc)) from exc
            self._settings = exc
        self._recording = self._recorded()
        self._early: Prefetch | None = None

    def _recorded(self) -> Recording | None:
        """A recording of what the tests of this process execute, where they are not run again to see that."""
        replay = isinstance(self._settings, StarcoderError) or self._settings.replay
        distributing = not self._worker and bool(self._config.getoption("numprocesses", None))
        if replay or not self._everything or distributing:
            return None
        from pytest_starcoder.explain.recording import Recording

        return Recording.start(self._project.holds)

    # --- where the test runs

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        if self._recording is not None:
            self._recording.begin()

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        if self._recording is not None:
            self._recording.stop()
        if self._early is not None:
            self._early.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Import what describes failures now: a test may leave nothing to import with, or a file system of its own."""
        if self._everything:
            import pytest_starcoder.explain.capture  # noqa: F401

    @pytest.hookimpl
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        with self._harmless("a comparison"):
            from pytest_starcoder.explain.assertions import Comparison

            self._compared = _asserting(sys._getframe()), Comparison.of_values(op, left, right)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        with self._harmless(item.nodeid):
            self._describe(item, call, report)
        self._compared = None
        return report

    def _describe(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        """Put into a report what the controller is to know."""
        address = self._project.address_of(item.nodeid, item.path)
        if address != item.nodeid:
            report.starcoder_address = address  # type: ignore[attr-defined]
        if report.when == "setup" or report.failed:
            mark = item.get_closest_marker(MARKER)
            if mark is not None and not mark.kwargs.get("replay", True):
                report.starcoder_replay = False  # type: ignore[attr-defined]
            if mark is not None and not mark.kwargs.get("fix", True):
                report.starcoder_fix = False  # type: ignore[attr-defined]
        if report.failed and call.excinfo and (self._everything or mark):
            with self._harmless(item.nodeid):
                from pytest_starcoder.explain.capture import capture_failure

                exc, phase = call.excinfo.value, report.when or "call"
                executed = self._recording.executed() if self._recording is not None else ()
                redactor, comparison = self._others.redactor, self._compared_by(exc)
                failure = capture_failure(
                    exc, address, phase, self._project, comparison, executed, redactor
                )
                failure = replace(failure, extra=self._others.evidence(item, failure))
                report.starcoder_failure = failure.to_json()  # type: ignore[attr-defined]
            if self._worker:  # the controller tells them
                report.starcoder_troubles = list(self._troubles)  # type: ignore[attr-defined]

    def _compared_by(self, exc: BaseException) -> Comparison | None:
        """The last comparison, if it is the one that raised `exc`: another may have failed and been caught before."""
        if self._compared is None or self._compared[0] != _raised(exc.__traceback__):
            return None
        return self._compared[1]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        call = getattr(report, "call", None)
        if report.failed and self._everything and call is not None and call.excinfo:
            with self._harmless(collector.nodeid):
                from pytest_starcoder.explain.capture import capture_failure

                address = self._project.address_of(collector.nodeid, collector.path)
                exc, redactor = call.excinfo.value, self._others.redactor
                failure = capture_failure(exc, address, "collect", self._project, redactor=redactor)
                report.starcoder_failure = failure.to_json()  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        """Pass the secrets a worker has seen to the controller, but not through reports."""
        if self._worker and self._others.has_redacted:
            secrets = list(self._others.redactor.secrets)
            self._config.workeroutput[SECRETS] = secrets  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        secrets = getattr(node, "workeroutput", {}).get(SECRETS)
        if secrets:
            self._others.redactor.add(secrets)

    # --- where the run is reported

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        carried = self._taken(report)
        yield  # after other plugins: a test with failing subtests is marked as failed there
        self.reported(report, carried)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> Generator[None, None, None]:
        carried = self._taken(report)
        yield
        self._collect(report, "collect", carried)

    def reported(self, report: pytest.TestReport, carried: Mapping[str, Any] | None = None) -> None:
        """Collect a report, with the fields that `_taken` removed from it."""
        carried = self._taken(report) if carried is None else carried
        if not self._worker:
            self._tests.add(report)
            for trouble in carried.get("starcoder_troubles", ()):
                self._complain(trouble)
        self._collect(report, report.when if report.when in PHASES else "call", carried)

    def _taken(self, report: pytest.TestReport | pytest.CollectReport) -> dict[str, Any]:
        """Remove and return our fields of a report: pytest-reportlog would write them."""
        if self._worker:
            return {}  # left for the controller
        names = [
            name for name in ("starcoder_failure", "starcoder_troubles") if name in report.__dict__
        ]
        return {name: report.__dict__.pop(name) for name in names}

    def _collect(
        self,
        report: pytest.TestReport | pytest.CollectReport,
        phase: str,
        carried: Mapping[str, Any],
    ) -> None:
        fields = carried.get("starcoder_failure")
        if self._worker or not report.failed or not (fields or self._everything):
            return
        with self._harmless(report.nodeid):
            from pytest_starcoder.explain.capture import failure_from_report
            from pytest_starcoder.explain.failure import Failure

            address = getattr(report, "starcoder_address", report.nodeid)
            failure = (
                Failure.from_json(fields)
                if fields
                else failure_from_report(address, phase, report.longreprtext)
            )
            self._failures.append(failure)
            self._ask_early(failure)

    def _ask_early(self, failure: Failure) -> None:
        """Has the failure asked about at once, where that is wanted; others who redact are not in the child."""
        if isinstance(self._settings, StarcoderError) or self._settings.early == "off":
            return
        if self._others.redact_too or self._config.getoption("starcoder_show_prompt"):
            return
        from pytest_starcoder.explain.prefetch import Prefetch, wanted

        if self._early is None and wanted(self._settings):
            self._early = Prefetch(self._settings, self._config.rootpath)
        if self._early is not None:
            self._early.add(failure)

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest ends a run that has collection errors in the same way.
        self._interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._worker or not (self._failures or self._troubles or self._written.asked):
            return
        try:
            with self._harmless("the failures"):
                self._report(terminalreporter)
        except (
            KeyboardInterrupt
        ):  # the second, or one between two questions: pytest's own summary still comes
            terminalreporter.write_line("\nStarCoder: interrupted.")
        for trouble in self._troubles:
            terminalreporter.write_line(f"StarCoder: {self._others.redactor.redact(trouble)}")

    def _report(self, terminal: pytest.TerminalReporter) -> None:
        from pytest_starcoder.explain.explainer import Explainer2
        from pytest_starcoder.explain.explanation import Report

        told = Explainer2(self._config, terminal, self._others, self._environment, self._early)
        if self._failures:
            report = told.tell(
                self._failures, self._tests, self._settings, interrupted=self._interrupted
            )
        else:
            report = Report((), 0)
        self._written.write(report, terminal.write_line)

    def _complain(self, trouble: str) -> None:
        """A line of our section, once."""
        self._troubles[trouble] = None

    @contextlib.contextmanager
    def _harmless(self, about: str) -> Iterator[None]:
        """Whatever goes wrong inside is a line in our section, never pytest's business."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - a user's repr can even call pytest.skip
            try:
                told = one_line(
                    traceback.format_exception_only(exc)[-1]
                )  # safe where its str raises
            except Exception:  # noqa: BLE001 - a test may have replaced what this needs
                told = type(exc).__name__
            self._complain(f"{one_line(about)} could not be explained ({told}).")


def _asserting(frame: FrameType | None) -> Place | None:
    """Where the assert stands whose comparison pytest is asking about."""
    while frame is not None and frame.f_code.co_name != "_call_reprcompare":
        frame = frame.f_back
    if frame is None or frame.f_back is None:
        return None
    return frame.f_back.f_code.co_filename, frame.f_back.f_lineno


def _raised(entry: TracebackType | None) -> Place | None:
    """Where an exception with this traceback was raised."""
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    return (entry.tb_frame.f_code.co_filename, entry.tb_lineno) if entry else None
