"""The tests of a session, as far as they have run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_starcoder.runner.outcome import FinishedTest

_SEVERITY = {"passed": 0, "skipped": 1, "failed": 2}


class SessionTests:
    """Collects reports into one `FinishedTest` per test."""

    def __init__(self) -> None:
        self._tests: dict[str, FinishedTest] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Add the report of one phase of a test."""
        nodeid = getattr(report, "starcoder_address", report.nodeid)
        test = self._tests.get(nodeid)
        if test is None:
            worker = getattr(report, "worker_id", "")
            test = FinishedTest(nodeid, report.outcome, 0.0, worker)
        # Plugins have outcomes of their own, such as "rerun", which are no pass.
        outcome = max(test.outcome, report.outcome, key=lambda name: _SEVERITY.get(name, 2))
        if hasattr(report, "wasxfail"):
            outcome = "skipped"  # an expected failure is no example of a test that should pass
        self._tests[nodeid] = replace(
            test,
            outcome=outcome,
            seconds=test.seconds + report.duration,
            allowed=test.allowed and getattr(report, "starcoder_replay", True),
            fixable=test.fixable and getattr(report, "starcoder_fix", True),
        )

    @property
    def finished(self) -> list[FinishedTest]:
        """The tests in the order in which they began."""
        return list(self._tests.values())

    @property
    def files(self) -> set[str]:
        """The files that contain the tests, relative to the root."""
        return {nodeid.partition("::")[0] for nodeid in self._tests}
