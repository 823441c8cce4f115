"""A line on a terminal that shows a long step and its seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_starcoder.text.display import printable


class StatusLine:
    """Writes a line of at most `width` columns, and replaces it every second.

    Nothing is written unless the terminal is `live`.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        width: int,
        *,
        live: bool,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._width = width
        self._live = live
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._line = ""
        self._progress = ""

    @contextmanager
    def show(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show `text` and the seconds, until `hide` is called or the block ends.

        The block gets a function that sets a text to be shown after the seconds.
        """
        self._progress = ""
        if not self._live:
            yield self._set_progress
            return
        text = printable(text).replace("\n", " ")
        self._ended = threading.Event()
        start = self._clock()

        def update() -> None:
            # Waits first, so that nothing flickers if the work takes less than a second.
            while not self._ended.wait(self._interval):
                self._replace(f"{text}, {self._clock() - start:.0f} s{self._progress}")

        thread = threading.Thread(target=update, name="starcoder-status", daemon=True)
        thread.start()
        try:
            yield self._set_progress
        finally:
            self.hide()
            thread.join()

    def hide(self) -> None:
        """Remove the line; other text can be written in its place."""
        with self._lock:
            self._ended.set()
            if self._line:
                self._write(f"\r{' ' * len(self._line)}\r")
                self._line = ""

    def _set_progress(self, text: str) -> None:
        self._progress = text

    def _replace(self, line: str) -> None:
        with self._lock:
            # The thread may be late, when other text has taken the place of the line.
            if not self._ended.is_set():
                self._line = line[: self._width - 1]
                self._write(f"\r{self._line}")
