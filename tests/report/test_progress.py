"""The progress of a long run."""

from __future__ import annotations

import pytest

from pytest_starcoder.report.progress import Progress, format_duration


def test_terminal() -> None:
    output: list[str] = []
    now = 0.0
    progress = Progress("asking", 10, 5, output.append, live=True, width=60, clock=lambda: now)
    now = 30.0
    progress.step()
    progress.end()
    first, second, blank, rest = "".join(output).removeprefix("\r").split("\r")
    assert first == "asking [##########..........] 5/10"
    assert second.rstrip() == "asking [############........] 6/10, 2.0 a minute, 2 min lef"
    assert (blank.strip(), rest) == ("", "")


def test_log() -> None:
    output: list[str] = []
    now = 0.0
    progress = Progress("asking", 200, 0, output.append, live=False, clock=lambda: now)
    for _ in range(200):
        now += 1
        progress.step()
    progress.end()
    lines = "".join(output).splitlines()
    counts = [line.partition("] ")[2].partition(",")[0] for line in lines]
    assert counts == ["0/200", "60/200", "120/200", "180/200", "200/200"]
    assert lines[1].endswith("60/200, 1.0 a second, 2 min left")
    assert lines[-1].endswith("200/200, 1.0 a second")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (200, "3 min"), (5000, "83 min"), (7300, "2.0 h")],
)
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
