"""The section in pytest's terminal: what was observed first, then what a model guesses, as it writes.

Whatever a test or a model says passes `printable`, and nothing here writes an
escape sequence of its own.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.report.label import Label
from pytest_starcoder.report.status_line import StatusLine
from pytest_starcoder.runner.fixes import Fixes
from pytest_starcoder.source.diff import changed_lines
from pytest_starcoder.text.display import counted, one_line, printable

MARGIN = 5
LABEL = 10

LONGEST = 400
"""Characters of a changed line; as it is copied, it is not wrapped."""

SUSPECTS = 3
"""Lines that the terminal ranks; the reports in files have more."""

LABELS = {
    "seen": "seen",
    "fact": "seen",
    "at": "at",
    "calls": "calls",
    "suspect": "suspect",
    "replay": "checked",
    "fix": "fix",
    "question": "which?",
    "extra": "also",
    "why": "why",
}
"""What stands before each kind of statement. What is under `why` is guessed, under `checked` checked, else observed."""


class TerminalSection:
    """Writes the blocks of one run through `write`; `live` is whether a line can be written over."""

    def __init__(self, write: Callable[[str], None], width: int, *, live: bool) -> None:
        self._write = write
        self._width = max(width, 40)
        self._waiting = StatusLine(write, self._width, live=live)
        self._paragraph: _Paragraph | None = None

    def observed(self, number: int, total: int, told: Explanation) -> None:
        """What is known of a cause without a model."""
        parts = [*_where(told), told.exception, _whose(told)]
        self._wrapped(f"{number}/{total} ".ljust(MARGIN), MARGIN, " · ".join(filter(None, parts)))
        before, suspects = "", 0
        frames = {(frame.path, frame.line): frame for frame in told.frames}
        for statement in told.statements:
            suspects += statement.kind == "suspect"
            later = statement.kind in ("fix", "question") or statement.label is Label.GUESSED
            if later or (suspects > SUSPECTS and statement.kind == "suspect"):
                continue
            label = LABELS[statement.kind]
            self.say("" if label == before else label, statement.text)
            before = label
            if statement.kind == "at":
                code = one_line(
                    frames[statement.path, statement.line].statement,
                    self._width - MARGIN - LABEL - 4,
                )
                self._write(f"{_lead('')}    {code}".rstrip() + "\n")

    def fixes(self, fixes: Fixes) -> None:
        """The changes that were found, each with what running tests with it has shown."""
        for number, fix in enumerate(fixes.found):
            self.say("or" if number else "fix", fix.verdict)
            self._write(f"{_lead('')}  {printable(fix.path)}:{fix.line}\n")
            for line in changed_lines(fix.diff):
                self._write(f"{_lead('')}  {printable(line, tabs=True)[:LONGEST]}".rstrip() + "\n")
        if fixes.question:
            self.say("which?", fixes.question)
        if fixes.note or (fixes.tried and not fixes.found):
            self.say(
                "fix",
                fixes.note
                or f"none found: {counted(fixes.tried, 'change')} tried in {fixes.seconds:.1f} s",
            )

    def say(self, label: str, text: str) -> None:
        """A labelled paragraph."""
        self._wrapped(_lead(label), MARGIN + LABEL, text)

    def waiting(self, label: str, whom: str) -> AbstractContextManager[Callable[[str], None]]:
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

    def rerun(self, nodeids: Sequence[str], options: Sequence[str] = ()) -> None:
        """The command that runs some tests again; on one line however long, for it is copied."""
        words = " ".join(shlex.quote(printable(word)) for word in (*options, *nodeids))
        self._write(f"{_lead('rerun')}pytest {words}\n")

    def tests(self, nodeids: Sequence[str]) -> None:
        """All tests of a cause where there are several, the parameters of one function together."""
        if len(nodeids) > 1:
            self.say("tests", ", ".join(_folded(nodeids)))

    def verbatim(self, title: str, text: str) -> None:
        """A text as it is, between two rulers, without what a terminal would obey."""
        self._write(f"{f'----- {title} '.ljust(self._width - 1, '-')}\n")
        self._write(printable(text, tabs=True).rstrip("\n") + "\n")
        self._write(f"{'----- end '.ljust(self._width - 1, '-')}\n")

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
        word, self._word = (
            self._word,
            "",
        )  # first: a Ctrl-C while it is written shall not have it written twice
        for part in _parts("".join(printable(word).split()), self._width - self._indent):
            start = self._column == self._indent
            if not start and self._column + 1 + _columns(part) > self._width:
                self._write("\n" + " " * self._indent)
                self._column, start = self._indent, True
            self._write(part if start else f" {part}")
            self._column += _columns(part) + (not start)


def _lead(label: str) -> str:
    return " " * MARGIN + label.ljust(LABEL)


def _where(told: Explanation) -> list[str]:
    if not told.path:
        return [] if told.phase == "call" else [told.phase]
    return [f"{told.path}:{told.line} in {told.function}"]


def _whose(told: Explanation) -> str:
    """The test, or how many there are."""
    return (
        one_line(told.nodeids[0], 200) if len(told.nodeids) == 1 else f"{len(told.nodeids)} tests"
    )


def _folded(nodeids: Sequence[str]) -> list[str]:
    """Node ids, those of one function as one: `test_a.py::test_b[1] [2] [3]`."""
    functions: dict[str, list[str]] = {}
    for nodeid in nodeids:
        function, bracket, parameters = nodeid.partition("[")
        functions.setdefault(function, []).append(bracket + parameters)
    return [function + " ".join(parameters) for function, parameters in functions.items()]


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
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
