"""How far a long run is: a line that is written over on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_starcoder.text.display import printable

OFTEN, SELDOM = 0.2, 60.0
"""Seconds between two lines, on a terminal and elsewhere."""

CELLS = 20


class Progress:
    """Tells of `total` things of which `done` are there already, through `write`; at most `width` columns."""

    def __init__(
        self,
        what: str,
        total: int,
        done: int,
        write: Callable[[str], None],
        *,
        live: bool,
        width: int = 80,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._done, self._before = printable(what), total, done, done
        self._write, self._live, self._width, self._clock = write, live, width, clock
        self._started = self._told = clock()
        self._line = ""
        self._tell()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = self._clock()
        if now - self._told >= (OFTEN if self._live else SELDOM) or self._done == self._total:
            self._told = now
            self._tell()

    def end(self) -> None:
        """Takes the line away on a terminal."""
        if self._live and self._line:
            self._write(f"\r{' ' * len(self._line)}\r")
            self._line = ""

    def _tell(self) -> None:
        line = self._text()
        if self._live:
            line = line[: self._width - 1]
            self._write(f"\r{line.ljust(len(self._line))}")
            self._line = line
        else:
            self._write(f"{line}\n")

    def _text(self) -> str:
        filled = CELLS * self._done // max(self._total, 1)
        text = f"{self._what} [{'#' * filled}{'.' * (CELLS - filled)}] {self._done}/{self._total}"
        new, spent = self._done - self._before, self._clock() - self._started
        if new and spent > 0:
            rate = new / spent
            text += f", {60 * rate:.1f} a minute" if rate < 1 else f", {rate:.1f} a second"
            if self._done < self._total:
                text += f", {left((self._total - self._done) / rate)} left"
        return text


def left(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
