"""How far a long run is, on a terminal and elsewhere."""

from __future__ import annotations

import io

from pytest_starcoder.report.progress import Progress, left


def test_on_a_terminal_one_line_is_written_over_and_taken_away() -> None:
    written, now = io.StringIO(), [0.0]
    progress = Progress("asking", 10, 5, written.write, live=True, width=60, clock=lambda: now[0])
    now[0] = 30.0
    progress.step()
    progress.end()
    first, second, blank, rest = written.getvalue().removeprefix("\r").split("\r")
    assert first == "asking [##########..........] 5/10"
    assert (
        second.rstrip()
        == "asking [############........] 6/10, 2.0 a minute, 2 min left"[:59].rstrip()
    )
    assert (blank.strip(), rest) == ("", "")


def test_elsewhere_there_is_a_line_now_and_then_and_one_at_the_end() -> None:
    written, now = io.StringIO(), [0.0]
    progress = Progress("asking", 200, 0, written.write, live=False, clock=lambda: now[0])
    for _ in range(200):
        now[0] += 1
        progress.step()
    progress.end()
    lines = written.getvalue().splitlines()
    assert [line.partition("] ")[2].partition(",")[0] for line in lines] == [
        "0/200",
        "60/200",
        "120/200",
        "180/200",
        "200/200",
    ]
    assert lines[1].endswith("60/200, 1.0 a second, 2 min left")
    assert lines[-1].endswith("200/200, 1.0 a second")


def test_times_are_said_as_people_say_them() -> None:
    assert [left(seconds) for seconds in (0.4, 99, 200, 5000, 7300)] == [
        "0 s",
        "99 s",
        "3 min",
        "83 min",
        "2.0 h",
    ]
