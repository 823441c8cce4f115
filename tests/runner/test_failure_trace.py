"""What a failing test executed before it failed: lines, calls, and the order of functions."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import CodeType
from typing import Any
from unittest import mock

import pytest

from pytest_starcoder.runner.call_log import MAX_RECORDED
from pytest_starcoder.runner.failure_trace import Executed, FailureTracer

HERE = __file__


@pytest.fixture(autouse=True)
def trace_function() -> Iterator[None]:
    """Restore the trace function of a debugger, or of coverage."""
    trace, thread_trace = sys.gettrace(), threading.gettrace()
    yield
    sys.settrace(trace)
    threading.settrace(thread_trace)


def double(x: int) -> int:
    return x * 2


def square(x: int) -> int:
    return x * x


def fails() -> None:
    raise KeyError("x")


class Point:
    def __repr__(self) -> str:
        return "Point()"


class Run:
    """A function that was traced as the test that failed."""

    def __init__(self, test: Callable[[], object], code: CodeType | None = None) -> None:
        code = code or getattr(test, "__code__", None)
        self.tracer = FailureTracer(lambda filename: filename == HERE, code)
        self.exception: BaseException | None = None
        self.tracer.start()
        try:
            test()
        except BaseException as exc:  # noqa: BLE001 - the failure
            self.exception = exc
        finally:
            self.tracer.stop()
        self.executed: Executed = self.tracer.executed(self.exception)

    def ran(self, function: Callable[..., object]) -> str:
        """Return when a function ran: late, unchecked, earlier or never."""
        line = function.__code__.co_firstlineno + 1
        executed = self.executed
        for name, lines in (("late", executed.late), ("unchecked", executed.unchecked)):
            if line in lines.get(HERE, ()):
                return name
        return "earlier" if line in executed.lines.get(HERE, ()) else "never"

    def calls(self) -> dict[str, str]:
        return {call.code.co_name: call.outcome for call in self.tracer.log.calls()}


# --- statements of the test ---


def test_passed_assertion() -> None:
    def test() -> None:
        assert double(2) == 4
        assert square(2) == 5

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("earlier", "late")


def test_value_that_is_used() -> None:
    def test() -> None:
        doubled = double(2)
        squared = square(doubled)
        assert doubled == 4
        assert squared == 5

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("unchecked", "unchecked")


def test_value_that_was_checked() -> None:
    def test() -> None:
        value = double(2)
        assert value == 4
        value = square(3)
        other = square(2)
        assert other == 5

    run = Run(test)
    assert run.ran(double) == "earlier"


def test_statement_for_its_effect() -> None:
    def test() -> None:
        double(2)
        assert square(2) == 5

    assert Run(test).ran(double) == "unchecked"


def test_earlier_rounds_of_a_loop() -> None:
    def test() -> None:
        for function, value in ((double, 4), (square, 5)):
            result = function(2)
            assert result == value

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("earlier", "unchecked")


def test_statement_of_several_lines() -> None:
    def test() -> None:
        assert (
            double(2),
            square(2),
        ) == (4, 5)

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("late", "late")


def test_missing_exception() -> None:
    def test() -> None:
        assert double(2) == 4
        with pytest.raises(KeyError):
            square(2)

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("earlier", "late")


def test_failure_while_leaving_with() -> None:
    @contextlib.contextmanager
    def checking() -> Iterator[None]:
        yield
        assert double(2) == 5

    def test() -> None:
        with checking():
            square(2)
            square(3)

    run = Run(test)
    assert (run.ran(double), run.executed.late) == ("earlier", {})


def test_handled_exception() -> None:
    def test() -> None:
        with contextlib.suppress(KeyError):
            fails()
        with pytest.raises(KeyError):
            fails()
        try:
            fails()
        except KeyError:
            double(2)
        assert square(2) == 5

    run = Run(test)
    assert (run.ran(double), run.ran(square)) == ("unchecked", "late")


def test_no_test_function() -> None:
    run = Run(partial(fails))
    assert run.ran(fails) == "earlier"
    assert (run.executed.late, run.executed.unchecked) == ({}, {})


def test_passed_test() -> None:
    def test() -> None:
        assert double(2) == 4

    assert Run(test).executed.late == {}


# --- after the failure ---


def test_cleanup_after_failure() -> None:
    def test() -> None:
        try:
            fails()
        finally:
            double(2)

    run = Run(test)
    assert (run.ran(fails), run.ran(double)) == ("late", "never")
    assert list(run.calls()) == ["test", "fails"]


def test_handler_that_raises_another_exception() -> None:
    def test() -> None:
        try:
            fails()
        except KeyError as exc:
            raise ValueError(double(2)) from exc

    assert Run(test).ran(double) == "late"


@pytest.mark.parametrize(
    "compare",
    [
        lambda point: None.__class__ == point,
        lambda point: unittest.TestCase().assertIn(point, ()),  # noqa: PT009
        lambda point: mock.Mock().assert_called_with(point),
    ],
    ids=["assert", "unittest", "mock"],
)
def test_representation_in_message(compare: Callable[[Point], Any]) -> None:
    def test() -> None:
        point = Point()
        assert compare(point)

    run = Run(test)
    assert "Point()" in str(run.exception)
    assert run.ran(Point.__repr__) == "never"
    assert "__repr__" not in run.calls()


# --- calls ---


def test_late_calls() -> None:
    def test() -> None:
        for value in range(9):
            assert double(value) == 2 * value
        assert double(7) == 15

    calls = [call for call in Run(test).tracer.log.calls() if call.code is double.__code__]
    assert [call.arguments for call in calls if call.late] == ["x=7"]
    assert calls[-1].line == test.__code__.co_firstlineno + 3


def test_first_and_last_late_calls() -> None:
    def test() -> None:
        assert list(map(double, range(9))) == []

    run = Run(test)
    arguments = [call.arguments for call in run.tracer.log.calls() if call.code is double.__code__]
    assert arguments == ["x=0", "x=1", "x=7", "x=8"]


def test_too_many_calls() -> None:
    def test() -> None:
        assert list(map(double, range(MAX_RECORDED))) == []

    assert not any(call.late for call in Run(test).tracer.log.calls())


def numbers() -> Iterator[int]:
    number = 0
    while number < 9:
        yield number
        number += 1


async def count(number: int) -> int:
    for _ in range(number):
        await asyncio.sleep(0)
    return number


async def ticks() -> AsyncIterator[int]:
    yield 1
    yield 2


def test_generator() -> None:
    run = Run(lambda: sum(numbers()))
    assert run.calls()["numbers"] == "yielded 0, 1, 2, …"
    assert len(run.tracer.log.calls()) == 1


def test_unfinished_generator() -> None:
    assert Run(lambda: next(numbers())).calls() == {"numbers": "yielded 0"}


def test_coroutine() -> None:
    async def main() -> int:
        return await count(3)

    run = Run(lambda: asyncio.run(main()))
    assert run.calls() == {"main": "returned 3", "count": "returned 3"}
    assert len(run.tracer.log.calls()) == 2


def test_cancelled_coroutine() -> None:
    async def main() -> None:
        await asyncio.wait_for(asyncio.sleep(9), 0.001)

    outcome = Run(lambda: asyncio.run(main())).calls()["main"]
    assert outcome == "raised TimeoutError"


def test_failing_coroutine() -> None:
    async def test() -> None:
        assert double(await count(1)) == 2
        await asyncio.wait_for(asyncio.sleep(square(3)), 0.001)

    run = Run(lambda: asyncio.run(test()), test.__code__)
    assert (run.ran(double), run.ran(square)) == ("earlier", "late")


def test_asynchronous_generator() -> None:
    async def main() -> None:
        async for _ in ticks():
            pass

    assert Run(lambda: asyncio.run(main())).calls() == {"main": "returned None", "ticks": "ended"}


def test_order_of_functions() -> None:
    def test() -> None:
        square(1)
        double(2)
        square(3)
        fails()

    names = [code.co_name for code in Run(test).executed.entered]
    assert names == ["test", "double", "square", "fails"]


def test_types() -> None:
    run = Run(lambda: double(2))
    assert run.tracer.log.types[double.__code__] == {"x": {"int"}}
