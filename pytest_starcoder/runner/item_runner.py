"""Runs collected tests again and again in one process, each within a limit of processor time."""

from __future__ import annotations

import contextlib
import copy
import signal
import time
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Literal, NamedTuple, NoReturn

import pytest

from pytest_starcoder.runner.selection import ItemProtocol
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line

REPEAT_SECONDS = 0.05
"""Processor time after which code that swallowed its time-out meets it again."""

MAX_NOTE = 300
"""Characters of the notes of an exception."""


class Overtime(BaseException):
    """Raised in a test that has used its processor time."""


class Raised(NamedTuple):
    """The first exception of a test; see Record."""

    name: str = ""
    place: str = ""
    note: str = ""
    function: str = ""


class ItemRunner:
    """Runs pytest items, and records what the hooks of pytest report about them."""

    def __init__(self) -> None:
        self.items: dict[str, pytest.Item] = {}
        self._problems: Mapping[str, str] = {}
        self._protocol: ItemProtocol | None = None
        self._outcomes: list[str] = []
        self._raised = Raised()

    def start(self, session: pytest.Session, project: Project, problems: Mapping[str, str]) -> None:
        """Prepare to run the items of a session; `problems` tells which files did not collect."""
        self.items = {item.nodeid: item for item in session.items}
        self._problems = problems
        self._protocol = ItemProtocol(session.config, project)

    def note_report(self, report: pytest.TestReport) -> None:
        """Count a report that a plugin logged itself, such as one of a subtest."""
        self._outcomes.append(report.outcome)

    def note_exception(self, call: pytest.CallInfo[None]) -> None:
        """Remember the first exception of the test, and where it was raised."""
        if call.excinfo is None or self._raised.name:
            return
        place = function = ""
        if call.excinfo.traceback:
            last = call.excinfo.traceback[-1]
            place = f"{last.path}:{last.lineno + 1}"
            function = last.name
        exception = call.excinfo.value
        note = " ".join(getattr(exception, "__notes__", ()))
        if not note and type(exception) is AssertionError:
            note = str(exception)
        self._raised = Raised(call.excinfo.typename, place, one_line(note, MAX_NOTE), function)

    def run(
        self, nodeid: str, limit: float, following: str = "", *, in_session: bool = False
    ) -> Record:
        """Run one test for at most `limit` seconds of processor time.

        The node id may be that of a file, which passes if its tests can be collected. Fixtures
        that the test `following` shares stay set up, and `in_session` it also shares the values
        of parameters.
        """
        if "::" not in nodeid:
            return self._collection_record(nodeid)
        item = self.items.get(nodeid)
        if item is None or self._protocol is None:
            return Record(nodeid, "missing", 0.0)
        self._outcomes, self._raised = [], Raised()
        started = time.perf_counter()
        is_overtime = False
        parameters = contextlib.nullcontext() if in_session else _fresh_parameters(item)
        with fresh_instance(item), parameters:
            try:
                signal.setitimer(signal.ITIMER_VIRTUAL, limit, REPEAT_SECONDS)
                reports = self._protocol.run(item, self.items.get(following))
                self._outcomes += [report.outcome for report in reports]
            except BaseException:  # noqa: BLE001 - code may raise anything, KeyboardInterrupt too
                is_overtime = True
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        item.session.shouldstop = item.session.shouldfail = False
        if self._raised.name == Overtime.__name__:
            is_overtime = True
        outcome = "overtime" if is_overtime else self._worst_outcome()
        return Record(nodeid, outcome, time.perf_counter() - started, *self._raised)

    def _collection_record(self, nodeid: str) -> Record:
        for collector, problem in self._problems.items():
            if collector.partition("::")[0] == nodeid:
                return Record(nodeid, "failed", 0.0, raised=problem.partition(":")[0], note=problem)
        return Record(nodeid, "passed", 0.0)

    def _worst_outcome(self) -> Literal["failed", "skipped", "passed"]:
        if "failed" in self._outcomes or not self._outcomes:
            return "failed"
        return "skipped" if "skipped" in self._outcomes else "passed"


def limit_processor_time() -> None:
    """Have the timer of `ItemRunner.run` raise Overtime."""
    signal.signal(signal.SIGVTALRM, _raise_overtime)


def _raise_overtime(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Overtime


@contextlib.contextmanager
def fresh_instance(item: pytest.Item) -> Iterator[None]:
    """Have pytest create the instance of the test class anew next time."""
    try:
        yield
    finally:
        for name in ("_instance", "_obj"):
            item.__dict__.pop(name, None)


@contextlib.contextmanager
def _fresh_parameters(item: pytest.Item) -> Iterator[None]:
    """Give one run of a test copies of its parameters: code under test may change them."""
    call = getattr(item, "callspec", None)
    if call is None:
        yield
        return
    parameters = call.params
    with contextlib.suppress(Exception):  # not everything can be copied
        object.__setattr__(call, "params", copy.deepcopy(parameters))
    try:
        yield
    finally:
        object.__setattr__(call, "params", parameters)
