"""The section in pytest's terminal: what was observed first, then what a model guesses, as it writes.

Whatever a test or a model says passes `printable`, and nothing here writes an
escape sequence of its own.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from pytest_starcoder.report.waiting import Waiting
from pytest_starcoder.text.display import one_line, printable
from pytest_starcoder.values import Cause, Failure

MARGIN = 5
LABEL = 10


class Section:
    """Writes the blocks of one run through `write`; `live` is whether a line can be written over."""

    def __init__(self, write: Callable[[str], None], width: int, *, live: bool) -> None:
        self._write = write
        self._width = max(width, 40)
        self._waiting = Waiting(write, self._width, live=live)
        self._paragraph: _Paragraph | None = None

    def observed(self, number: int, total: int, cause: Cause) -> None:
        """What is known of a cause without a model."""
        failure = cause.first
        parts = [*_where(failure), failure.exception, _whose(cause)]
        self._wrapped(f"{number}/{total} ".ljust(MARGIN), MARGIN, " · ".join(parts))
        self.say("seen", failure.seen)
        label = "at"
        for frame in failure.frames:
            self.say(label, f"{frame.path}:{frame.line} in {frame.function}")
            statement = one_line(frame.statement, self._width - MARGIN - LABEL - 4)
            self._write(f"{_lead('')}    {statement}".rstrip() + "\n")
            label = ""
        label = "calls"
        for frame in failure.callees:
            self.say(label, f"{frame.path}:{frame.line} {frame.function}")
            label = ""

    def say(self, label: str, text: str) -> None:
        """A labelled paragraph."""
        self._wrapped(_lead(label), MARGIN + LABEL, text)

    def waiting(self, label: str, whom: str) -> AbstractContextManager[None]:
        """Shows on a live terminal, second by second, that `whom` is asked, until `stream` gets its first piece."""
        return self._waiting.shown(f"{_lead(label)}asking {whom}")

    def stream(self, piece: str) -> None:
        """The next piece of what a model writes."""
        if self._paragraph is None:
            self._waiting.hide()
            self._paragraph = _Paragraph(self._write, _lead("why"), MARGIN + LABEL, self._width)
        self._paragraph.add(piece)

    def end(self, ending: str) -> bool:
        """Closes what `stream` has opened, with `ending` as its last words; False where it has opened nothing."""
        if self._paragraph is None:
            return False
        self._paragraph.add(ending)
        self._paragraph.end()
        self._paragraph = None
        return True

    def rerun(self, nodeid: str) -> None:
        """The command that runs one test of the cause again; on one line however long, for it is copied."""
        self._write(f"{_lead('rerun')}pytest {shlex.quote(printable(nodeid))}\n")

    def close(self, text: str) -> None:
        """A sentence about the whole section."""
        self._wrapped("", 0, text)

    def _wrapped(self, lead: str, indent: int, text: str) -> None:
        paragraph = _Paragraph(self._write, lead, indent, self._width)
        paragraph.add(printable(text))
        paragraph.end()


class _Paragraph:
    """Text that arrives in pieces, wrapped at words, each further line indented.

    A word is written when it is complete, so that an escape sequence is seen
    whole however the pieces divide it.
    """

    def __init__(self, write: Callable[[str], None], lead: str, indent: int, width: int) -> None:
        self._write = write
        self._indent = indent
        self._width = width
        self._word = ""
        self._column = indent
        write(lead)

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
        word, self._word = self._word, ""  # first: a Ctrl-C while it is written shall not have it written twice
        for part in _parts("".join(printable(word).split()), self._width - self._indent):
            start = self._column == self._indent
            if not start and self._column + 1 + _columns(part) > self._width:
                self._write("\n" + " " * self._indent)
                self._column, start = self._indent, True
            self._write(part if start else f" {part}")
            self._column += _columns(part) + (not start)


def _lead(label: str) -> str:
    return " " * MARGIN + label.ljust(LABEL)


def _where(failure: Failure) -> list[str]:
    if not failure.frames:
        return [] if failure.phase == "call" else [failure.phase]
    last = failure.frames[-1]
    return [f"{last.path}:{last.line} in {last.function}"]


def _whose(cause: Cause) -> str:
    """The test, or how many there are: several subtests are one."""
    tests = {failure.nodeid for failure in cause.failures}
    return one_line(cause.first.nodeid, 200) if len(tests) == 1 else f"{len(tests)} tests"


def _parts(word: str, room: int) -> Iterator[str]:
    """A word in pieces of at most `room` columns."""
    part, used = "", 0
    for char in word:
        if used + _columns(char) > room:
            yield part
            part, used = "", 0
        part += char
        used += _columns(char)
    if part:
        yield part


def _columns(text: str) -> int:
    """The columns that a terminal gives a text: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
