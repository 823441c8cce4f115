"""The one line that can be written over: who is asked, and for how many seconds already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from pytest_starcoder.text.display import printable


class StatusLine:
    """Writes through `write`, at most `width` columns; nothing at all where it is not a `live` terminal."""

    def __init__(self, write: Callable[[str], None], width: int, *, live: bool) -> None:
        self._write = write
        self._width = width
        self._live = live
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._line = ""

    @contextmanager
    def shown(self, text: str) -> Iterator[Callable[[str], None]]:
        """Shows `text` and the seconds, from the first one on, until `hide` or the end of the block.

        What the block gets takes a text that is shown after them from then on: how far it is.
        """
        told = [""]
        far = partial(told.__setitem__, 0)
        if not self._live:
            yield far
            return
        self._over, started, text = (
            threading.Event(),
            time.monotonic(),
            printable(text).replace("\n", " "),
        )

        def tick() -> None:
            while not self._over.wait(1.0):
                self._show(f"{text}, {time.monotonic() - started:.0f} s{told[0]}")

        ticker = threading.Thread(target=tick, name="starcoder-waiting", daemon=True)
        ticker.start()
        try:
            yield far
        finally:
            self.hide()
            ticker.join()

    def hide(self) -> None:
        """Takes the line away, for good; what is written next stands in its place."""
        with self._lock:
            self._over.set()
            if self._line:
                self._write(f"\r{' ' * len(self._line)}\r")
                self._line = ""

    def _show(self, line: str) -> None:
        with self._lock:
            if not self._over.is_set():
                self._line = line[: self._width - 1]
                self._write(f"\r{self._line}")
