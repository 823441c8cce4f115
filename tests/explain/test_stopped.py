"""Where a test was when a timeout or Ctrl-C stopped it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from pytest_starcoder.explain.stopped import describe_loops, was_stopped


class Stop(Exception): ...


def stop() -> None:
    raise Stop


def waits(n: int) -> None:
    rounds = 0
    while n != 1:
        rounds += 1
        stop()


def no_loop() -> None:
    for _ in range(2):
        pass
    stop()


def sentences(function: Callable[[], object]) -> list[str]:
    """Return what is said about the place where `function` raised Stop."""
    places: list[tuple[FrameType, int]] = []
    with pytest.raises(Stop) as caught:
        function()
    traceback = caught.value.__traceback__
    while traceback is not None:
        places.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return list(describe_loops(places, lambda file: Path(file).name))


def test_loop() -> None:
    line = waits.__code__.co_firstlineno + 2
    assert sentences(lambda: waits(7)) == [
        f"stopped in the loop `while n != 1` (test_stopped.py:{line}) with n = 7, rounds = 1"
    ]


def test_loops_of_several_functions() -> None:
    def outer() -> None:
        for _ in (1,):
            for number in (5,):
                waits(number)

    first, second = sentences(outer)
    assert "`while n != 1`" in first
    assert "`for number in (5,)`" in second
    assert second.endswith("with number = 5")


def test_no_loop() -> None:
    assert sentences(no_loop) == []


def test_long_values() -> None:
    def work(items: list[str]) -> None:
        for item in items:
            assert item
            stop()

    [sentence] = sentences(lambda: work(["x" * 999] * 99))
    assert len(sentence) < 300


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (KeyboardInterrupt(), True),
        (pytest.fail.Exception("Timeout (>1.0s) from pytest-timeout."), True),
        (pytest.fail.Exception("Timeout >1.0s"), True),
        (pytest.fail.Exception("not good"), False),
        (TimeoutError("Timeout "), False),
    ],
)
def test_stops(exc: BaseException, expected: bool) -> None:
    assert was_stopped(exc) is expected
