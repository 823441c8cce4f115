"""The progress of a long run."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_starcoder.text.display import printable

LIVE_INTERVAL = 0.2
"""Seconds between two lines on a terminal, which replace each other."""

LOG_INTERVAL = 60.0
"""Seconds between two lines elsewhere."""

BAR_WIDTH = 20


class Progress:
    """Writes a progress bar of `total` steps through `write`, at most `width` columns.

    `done` steps do not count for the speed: they were done in an earlier run. On a `live`
    terminal the line is replaced.
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
        self._interval = LIVE_INTERVAL if live else LOG_INTERVAL
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
        text += f", {60 * rate:.1f} a minute" if rate < 1 else f", {rate:.1f} a second"
        if self._done < self._total:
            text += f", {format_duration((self._total - self._done) / rate)} left"
        return text


def format_duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours: '90 s', '12 min', '3.5 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
