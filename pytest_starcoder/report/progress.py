"""The progress of a long run."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_starcoder.text.display import printable

LIVE_INTERVAL = 0.2
"""Seconds between two lines on a terminal, which replace each other."""

LOG_INTERVAL = 60.0
"""Seconds between two lines in a log."""

BAR_WIDTH = 20


class Progress:
    """Writes a progress bar of `total` steps through `write`, at most `width` columns.

    `done` steps were done in an earlier run, so they do not count for the speed. On a `live`
    terminal each line replaces the one before.
    """

    def __init__(
        self,
        title: str,
        total: int,
        done: int,
        write: Callable[[str], None],
        *,
        live: bool,
        width: int = 80,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = printable(title)
        self._total = total
        self._done_before = self._done = done
        self._write = write
        self._live = live
        self._interval = LOG_INTERVAL
        if live:
            self._interval = LIVE_INTERVAL
        self._width = width
        self._clock = clock
        self._start = self._last_update = clock()
        self._line = ""
        self._update()

    def step(self) -> None:
        """Count one step."""
        self._done += 1
        now = self._clock()
        if now - self._last_update >= self._interval or self._done == self._total:
            self._last_update = now
            self._update()

    def end(self) -> None:
        """Remove the line from a terminal."""
        if self._live and self._line:
            self._write(f"\r{' ' * len(self._line)}\r")
            self._line = ""

    def _update(self) -> None:
        line = self._text()
        if self._live:
            # A line as wide as the terminal would wrap.
            line = line[: self._width - 1]
            self._write(f"\r{line.ljust(len(self._line))}")
            self._line = line
        else:
            self._write(f"{line}\n")

    def _text(self) -> str:
        # An empty run has no steps.
        filled = BAR_WIDTH * self._done // max(self._total, 1)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        text = f"{self._title} [{bar}] {self._done}/{self._total}"
        steps = self._done - self._done_before
        seconds = self._clock() - self._start
        if not steps or seconds <= 0:
            return text
        rate = steps / seconds
        # Below one a second, the figure would be 0.something.
        if rate < 1:
            text += f", {60 * rate:.1f} a minute"
        else:
            text += f", {rate:.1f} a second"
        remaining = self._total - self._done
        if remaining > 0:
            text += f", {format_duration(remaining / rate)} left"
        return text


def format_duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours: '90 s', '12 min', '3.5 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
