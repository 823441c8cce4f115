"""Ends an answer at its stops, for servers that take few of them or ignore them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_starcoder.model.backends import OnText


class Ending:
    """Passes pieces of an answer on to `on_text`, up to the first of `stops`.

    No part of a stop is passed on. The result is the same whether or not the server stops.
    """

    def __init__(self, stops: Sequence[str], on_text: OnText) -> None:
        self._stops = [stop for stop in stops if stop]
        self._on_text = on_text
        self._passed: list[str] = []
        self._pending = ""
        self.reached = False

    @property
    def text(self) -> str:
        """The text that was passed on so far."""
        return "".join(self._passed)

    def add(self, piece: str) -> bool:
        """Add a piece of the answer; return whether a stop was reached."""
        if self.reached:
            return True
        self._pending += piece
        # The earliest stop counts, whatever its place in the list.
        indexes = [self._pending.find(stop) for stop in self._stops]
        indexes = [index for index in indexes if index >= 0]
        if indexes:
            self.reached = True
            self._pending = self._pending[: min(indexes)]
            self._pass_on(len(self._pending))
        else:
            self._pass_on(len(self._pending) - self._length_of_partial_stop())
        return self.reached

    def end(self) -> str:
        """Pass on what only looked like the beginning of a stop; return the whole answer."""
        self._pass_on(len(self._pending))
        return self.text

    def _length_of_partial_stop(self) -> int:
        """Return how many pending characters at the end may be the beginning of a stop."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(self._pending)), 0, -1):
            # The next piece may complete it.
            end = self._pending[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0

    def _pass_on(self, length: int) -> None:
        if length > 0:
            text = self._pending[:length]
            self._pending = self._pending[length:]
            self._passed.append(text)
            self._on_text(text)
