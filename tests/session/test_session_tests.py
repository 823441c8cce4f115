"""The tests of a session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.session.session_tests import SessionTests

NODEID = "a/test_it.py::test_it"


def report(outcome: str = "passed", seconds: float = 1.0, **fields: Any) -> Any:
    return SimpleNamespace(**{"nodeid": NODEID, "outcome": outcome, "duration": seconds, **fields})


def finish(*reports: Any) -> list[FinishedTest]:
    tests = SessionTests()
    for entry in reports:
        tests.add(entry)
    return tests.finished


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        (("passed", "passed", "passed"), "passed"),
        (("passed", "failed", "passed"), "failed"),
        (("passed", "skipped", "passed"), "skipped"),
        (("failed", "skipped"), "failed"),
        (("passed", "rerun", "passed"), "rerun"),
    ],
    ids="-".join,
)
def test_worst_outcome(outcomes: tuple[str, ...], outcome: str) -> None:
    [test] = finish(*map(report, outcomes))
    assert (test.outcome, test.seconds) == (outcome, float(len(outcomes)))


def test_expected_failure() -> None:
    [test] = finish(report(), report("passed", wasxfail="reason"))
    assert test.outcome == "skipped"


def test_marker_attributes() -> None:
    [test] = finish(report(starcoder_replay=False), report(starcoder_fix=False), report())
    assert (test.allowed, test.fixable) == (False, False)


def test_addresses_and_workers() -> None:
    tests = SessionTests()
    tests.add(report(worker_id="gw1", starcoder_address="../b/test_it.py::test_it"))
    tests.add(report())
    assert tests.finished == [
        FinishedTest("../b/test_it.py::test_it", "passed", 1.0, "gw1"),
        FinishedTest(NODEID, "passed", 1.0),
    ]
    assert tests.files == {"../b/test_it.py", "a/test_it.py"}
