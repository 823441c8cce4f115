"""Where an answer ends, for servers that take few stops or ignore them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_starcoder.model.backends import OnText


class Ending:
    """Passes pieces of an answer on to `on_text` up to the first of `stops`, no part of which is passed on.

    Whether the server heeds the stops makes no difference to what comes out.
    """

    def __init__(self, stops: Sequence[str], on_text: OnText) -> None:
        self._stops = [stop for stop in stops if stop]
        self._on_text = on_text
        self._passed: list[str] = []
        self._held = ""
        self.reached = False

    @property
    def text(self) -> str:
        """What was passed on so far."""
        return "".join(self._passed)

    def add(self, piece: str) -> bool:
        """Whether the answer has ended with this piece."""
        if not self.reached:
            self._held += piece
            found = [index for stop in self._stops if (index := self._held.find(stop)) >= 0]
            if found:
                self.reached = True
                self._held = self._held[: min(found)]
            self._pass_on(len(self._held) if self.reached else len(self._held) - self._begun())
        return self.reached

    def end(self) -> str:
        """The whole answer: what looked like the beginning of a stop was none."""
        self._pass_on(len(self._held))
        return self.text

    def _begun(self) -> int:
        """The characters at the end of what is held that may be the beginning of a stop."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        return next(
            (
                size
                for size in range(min(longest, len(self._held)), 0, -1)
                if any(stop.startswith(self._held[-size:]) for stop in self._stops)
            ),
            0,
        )

    def _pass_on(self, size: int) -> None:
        if size > 0:
            passed, self._held = self._held[:size], self._held[size:]
            self._passed.append(passed)
            self._on_text(passed)
