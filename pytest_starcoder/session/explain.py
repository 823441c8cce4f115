"""Explains the failures of a pytest session: collects them live, asks once a cause, reports before the summary.

Under xdist the workers attach what they saw to their reports, and the
controller alone asks. Nothing here changes an outcome: what goes wrong in this
file is a line in its own section.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.evidence.causes import causes
from pytest_starcoder.evidence.failure import Comparison, compared, describe, untraced
from pytest_starcoder.report.terminal import Section
from pytest_starcoder.session import session_settings
from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.values import Failure

MARKER = "starcoder_explain"


class Explainer:
    """The plugin object of one session; `everything` is whether tests without the marker are explained too.

    Raises pytest.UsageError for settings that cannot be used, if `everything`:
    a run that was asked to explain says at once that it cannot.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str], *, everything: bool) -> None:
        self._config = config
        self._keys = keys
        self._everything = everything
        self._worker = hasattr(config, "workerinput")
        self._comparison: Comparison | None = None
        self._failures: list[Failure] = []
        self._troubles: dict[str, None] = {}
        if everything and not self._worker:
            try:
                session_settings(config, keys)
            except StarcoderError as exc:
                raise pytest.UsageError(str(exc)) from exc

    # --- in the process that runs the test

    @pytest.hookimpl
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        with self._harmless("a comparison"):
            self._comparison = compared(op, left, right)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        comparison, self._comparison = self._comparison, None
        if report.failed and call.excinfo and (self._everything or item.get_closest_marker(MARKER)):
            with self._harmless(item.nodeid):
                failure = describe(
                    call.excinfo.value, item.nodeid, report.when or "call", self._config.rootpath, comparison
                )
                report.starcoder_failure = failure.to_json()  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        call = getattr(report, "call", None)
        if report.failed and self._everything and call is not None and call.excinfo:
            with self._harmless(collector.nodeid):
                failure = describe(call.excinfo.value, collector.nodeid, "collect", self._config.rootpath)
                report.starcoder_failure = failure.to_json()  # type: ignore[attr-defined]
        return report

    # --- in the process that reports

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._collect(report, report.when or "call")

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._collect(report, "collect")

    def _collect(self, report: pytest.TestReport | pytest.CollectReport, phase: str) -> None:
        fields = getattr(report, "starcoder_failure", None)
        if self._worker or not report.failed or not (fields or self._everything):
            return
        with self._harmless(report.nodeid):
            failure = Failure.from_json(fields) if fields else untraced(report.nodeid, phase, report.longreprtext)
            self._failures.append(failure)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._worker or not (self._failures or self._troubles):
            return
        with self._harmless("the report"):
            self._report(terminalreporter)
        for trouble in self._troubles:
            terminalreporter.write_line(f"StarCoder: {trouble}")

    def _report(self, terminal: pytest.TerminalReporter) -> None:
        from pytest_starcoder.session.asking import Asking

        started = time.monotonic()
        found = causes(self._failures)
        with contextlib.closing(Asking(lambda: session_settings(self._config, self._keys))) as asking:
            heading = f"{counted(len(self._failures), 'failure')}, {counted(len(found), 'cause')}{asking.title()}"
            terminal.write_sep("=", f"StarCoder: {heading}", yellow=True)
            section = Section(
                lambda text: terminal.write(text, flush=True),
                self._config.get_terminal_writer().fullwidth,
                live=bool(terminal.isatty),
            )
            try:
                for number, cause in enumerate(found, 1):
                    section.observed(number, len(found), cause)
                    asking.explain(cause, section)
                    section.rerun(self._from_here(cause.first.nodeid))
            except KeyboardInterrupt:
                section.end(" (interrupted)")
                terminal.write_line("Interrupted: no more causes are explained.")
            for line in asking.closing(len(found), time.monotonic() - started):
                terminal.write_line(line)

    def _from_here(self, nodeid: str) -> str:
        """The node id as a user writes it in the folder where pytest was started."""
        here, root = self._config.invocation_params.dir, self._config.rootpath
        if here == root:
            return nodeid
        path, colons, rest = nodeid.partition("::")
        return Path(os.path.relpath(root / path, here)).as_posix() + colons + rest

    @contextlib.contextmanager
    def _harmless(self, about: str) -> Iterator[None]:
        """Whatever goes wrong inside is a line in our section, never pytest's business."""
        try:
            yield
        except StarcoderError as exc:
            self._troubles[str(exc)] = None
        except Exception as exc:  # noqa: BLE001 - the run must end as it would have without us
            self._troubles[
                f"{one_line(about)} could not be explained ({type(exc).__name__}: {one_line(str(exc))})."
            ] = None
