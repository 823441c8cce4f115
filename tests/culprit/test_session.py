"""The session that undoes changes for one cause after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from support.failures import FAILURE

from pytest_starcoder.culprit.session import _Attempt
from pytest_starcoder.culprit.targets import Target
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.explain.undo_interface import UndoContext
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.trials import SessionRun
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions

TESTS = ("test_a.py::test_one", "test_a.py::test_two")


class FakeTrials:
    """Runs tests that all have one outcome; None if they do not finish."""

    def __init__(self, outcome: str | None) -> None:
        self.ran: list[str] = []
        self._outcome = outcome

    def run_session(self, limits: Mapping[str, float]) -> list[SessionRun]:
        [test] = limits
        self.ran.append(test)
        if self._outcome is None:
            return [SessionRun()]
        record: Any = Record(test, self._outcome, 0.1, "AssertionError")  # type: ignore[arg-type]
        return [SessionRun((record,))]


@pytest.fixture
def attempt(tmp_path: Path) -> _Attempt:
    return attempt_until(Deadline.after(60), tmp_path, TESTS)


def attempt_until(deadline: Deadline, folder: Path, tests: Sequence[str]) -> _Attempt:
    context = UndoContext(
        tests=(),
        launch=Launch(folder, folder),
        conventions=Conventions(),
        settings=Settings(),
        show_status=lambda *_: nullcontext(lambda _: None),
        deadline=deadline,
    )
    cause = Cause((FAILURE,))
    targets = [Target(cause, Replay(), test, "AssertionError") for test in tests]
    return _Attempt(context, targets, ())


def test_targets_run_one_by_one(attempt: _Attempt) -> None:
    trials: Any = FakeTrials("failed")
    reproduced = attempt._reproduced({}, trials)
    assert next(reproduced).test == TESTS[0]
    assert trials.ran == [TESTS[0]]
    assert next(reproduced).test == TESTS[1]


@pytest.mark.parametrize(
    ("outcome", "seconds", "note"),
    [
        (None, 0.0, "no change was undone: time ran out (setting explain_timeout)"),
        (
            "passed",
            60.0,
            "no change was undone: in the sandbox, the test does not fail as it did in the run "
            "(it may need a service, or something that another run left behind)",
        ),
    ],
    ids=["late", "passes-in-sandbox"],
)
def test_not_reproduced(tmp_path: Path, outcome: str | None, seconds: float, note: str) -> None:
    attempt = attempt_until(Deadline.after(seconds, "explain_timeout"), tmp_path, TESTS[:1])
    trials: Any = FakeTrials(outcome)
    assert list(attempt._reproduced({}, trials)) == []
    assert attempt.results[TESTS[0]].note == note
