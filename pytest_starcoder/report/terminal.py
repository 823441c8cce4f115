"""The section in pytest's terminal: what was observed first, then what a model guesses, as it writes.

Whatever a test or a model says passes `printable`, so that no escape sequence
of theirs reaches the terminal.
"""

from __future__ import annotations

import shlex
import textwrap
import threading
from collections.abc import Callable

from pytest_starcoder.text.display import one_line, printable
from pytest_starcoder.values import Cause, Failure

MARGIN = 5
LABEL = 10


class Section:
    """Writes the blocks of one run through `write`; `live` is whether a line can be written over."""

    def __init__(self, write: Callable[[str], None], width: int, *, live: bool) -> None:
        self._write = write
        self._width = max(width, 40)
        self._live = live
        self._lock = threading.Lock()
        self._paragraph: _Paragraph | None = None
        self._waiting = False

    def observed(self, number: int, total: int, cause: Cause) -> None:
        """What is known of a cause without a model."""
        failure, count = cause.first, len(cause.failures)
        tests = one_line(failure.nodeid, 200) if count == 1 else f"{count} tests"
        self._line(f"{number}/{total} ".ljust(MARGIN) + " · ".join([*_where(failure), failure.exception, tests]))
        self.say("seen", failure.seen)
        label = "at"
        for frame in failure.frames:
            self._field(label, f"{frame.path}:{frame.line} in {frame.function}")
            self._field("", f"    {one_line(frame.statement, self._width)}")
            label = ""
        label = "calls"
        for frame in failure.callees:
            self._field(label, f"{frame.path}:{frame.line} {frame.function}")
            label = ""

    def say(self, label: str, text: str) -> None:
        """A labelled paragraph."""
        paragraph = _Paragraph(self._write, label, self._width)
        paragraph.add(printable(text))
        paragraph.end()

    def wait(self, model: str, seconds: float) -> None:
        """Shows that a model is being waited for; from any thread."""
        with self._lock:
            if self._live and self._paragraph is None:
                self._waiting = True
                self._write(f"\r{' ' * MARGIN}{'why'.ljust(LABEL)}asking {model}, {seconds:.0f} s")

    def stream(self, piece: str) -> None:
        """The next piece of what a model writes."""
        with self._lock:
            if self._paragraph is None:
                self._clear()
                self._paragraph = _Paragraph(self._write, "why", self._width)
            self._paragraph.add(printable(piece))

    def end(self, ending: str = "") -> None:
        """Closes what `stream` and `wait` have opened, with `ending` as its last words."""
        with self._lock:
            self._clear()
            if self._paragraph is not None:
                self._paragraph.add(ending)
                self._paragraph.end()
                self._paragraph = None

    def rerun(self, nodeid: str) -> None:
        """The command that runs one test of the cause again."""
        self._field("rerun", f"pytest {shlex.quote(printable(nodeid))}")

    def _clear(self) -> None:
        if self._waiting:
            self._write("\r\x1b[K")
            self._waiting = False

    def _field(self, label: str, text: str) -> None:
        self._line(" " * MARGIN + label.ljust(LABEL) + text)

    def _line(self, text: str) -> None:
        self._write(printable(text).rstrip() + "\n")


class _Paragraph:
    """Text that arrives in pieces, wrapped at words, each line under the first one's text."""

    def __init__(self, write: Callable[[str], None], label: str, width: int) -> None:
        self._write = write
        self._indent = MARGIN + LABEL
        self._width = width
        self._word = ""
        self._column = self._indent
        write(" " * MARGIN + label.ljust(LABEL))

    def add(self, piece: str) -> None:
        for char in piece:
            if char.isspace():
                self._flush()
            else:
                self._word += char

    def end(self) -> None:
        self._flush()
        self._write("\n")

    def _flush(self) -> None:
        """Writes the word that is complete, on a new line where the current one has no room."""
        for part in textwrap.wrap(self._word, self._width - self._indent):
            start = self._column == self._indent
            if not start and self._column + 1 + len(part) > self._width:
                self._write("\n" + " " * self._indent)
                self._column, start = self._indent, True
            self._write(part if start else f" {part}")
            self._column += len(part) + (not start)
        self._word = ""


def _where(failure: Failure) -> list[str]:
    if not failure.frames:
        return [] if failure.phase == "call" else [failure.phase]
    last = failure.frames[-1]
    return [f"{last.path}:{last.line} in {last.function}"]
