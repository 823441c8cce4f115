"""The section of explanations in pytest's terminal.

Observations come first, then what a model guesses, while it is written. All texts pass
`printable`, and no escape sequence is written.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.fixes import Fix, Fixes
from pytest_starcoder.report.label import Label
from pytest_starcoder.report.status_line import StatusLine
from pytest_starcoder.source.diff import changed_lines
from pytest_starcoder.text.display import counted, one_line, printable

MARGIN = 5
LABEL_WIDTH = 10
INDENT = MARGIN + LABEL_WIDTH

MAX_CODE_LINE = 400
"""Maximum characters of a changed line, which is not wrapped so that it can be copied."""

MAX_SUSPECTS = 3
"""Maximum number of suspects on the terminal; report files have more."""

MAX_PIECES = 4
"""Maximum number of changes on the terminal; report files have more."""

MAX_PIECE_LINES = 12
"""Maximum number of lines of a change on the terminal; report files have more."""

LABELS = {
    "seen": "seen",
    "fact": "seen",
    "at": "at",
    "calls": "calls",
    "suspect": "suspect",
    "replay": "checked",
    "extra": "also",
}
"""Label of each kind of statement that is observed, or checked before a model is asked."""


class TerminalSection:
    """Writes the section of one run through `write`.

    On a `live` terminal a status line is shown while there is nothing to write.
    """

    def __init__(self, write: Callable[[str], None], width: int, *, live: bool) -> None:
        self._write = write
        # Narrower than that, labels leave no room for words.
        self._width = max(width, 40)
        self._status = StatusLine(write, self._width, live=live)
        self._stream: _Paragraph | None = None

    def show_evidence(self, number: int, total: int, explanation: Explanation) -> None:
        """Write what is known of a cause without fixes and without a model."""
        start = f"{number}/{total} ".ljust(MARGIN)
        self._paragraph(start, MARGIN, _heading(explanation))
        code = {(frame.path, frame.line): frame.statement for frame in explanation.frames}
        suspects = 0
        last_label = ""
        for statement in explanation.statements:
            if statement.kind == "broke" and last_label != "broke":
                self._show_breakage(explanation.breakage)
                last_label = "broke"
            if statement.kind not in LABELS or statement.label is Label.GUESSED:
                continue
            if statement.kind == "suspect":
                suspects += 1
                # The others would push the rest off a small screen.
                if suspects > MAX_SUSPECTS:
                    continue
            label = LABELS[statement.kind]
            self.say("" if label == last_label else label, statement.text)
            last_label = label
            if statement.kind == "at":
                source = code[statement.path, statement.line]
                room = self._width - INDENT - 4
                self._code(f"    {one_line(source, room)}")

    def show_line(self, number: int, total: int, explanation: Explanation) -> None:
        """Write a cause on one line: its exception, place and number of tests."""
        start = f"{number}/{total} ".ljust(MARGIN)
        place = explanation.phase
        if explanation.path:
            place = f"{explanation.path}:{explanation.line} in {explanation.function}"
        elif len(explanation.nodeids) == 1:
            place = explanation.nodeids[0]
        end = f" · {counted(len(explanation.nodeids), 'test')}"
        room = self._width - len(start) - len(end) - 1
        text = " · ".join(filter(None, [explanation.exception, place]))
        self._write(f"{start}{one_line(text, room)}{end}\n")

    def _show_breakage(self, breakage: Breakage) -> None:
        """Write the change that broke the tests, line by line, or why there is none."""
        change = breakage.verdict if breakage.pieces else breakage.note
        label = "broke"
        for text in filter(None, [breakage.order, change]):
            self.say(label, text)
            label = ""
        if breakage.pieces:
            self._show_pieces(breakage)
        elif breakage.note and breakage.left_out:
            self.say("", breakage.not_undone)

    def _show_pieces(self, breakage: Breakage) -> None:
        pieces = [*breakage.pieces, *chain.from_iterable(breakage.either)]
        for piece in pieces[:MAX_PIECES]:
            # The sentence before has the place of a single one.
            if len(pieces) > 1:
                self._code(f"  {printable(piece.place)}")
            for line in piece.shown_diff(MAX_PIECE_LINES):
                self._code(f"    {printable(line, tabs=True)[:MAX_CODE_LINE]}")
        if len(pieces) > MAX_PIECES:
            self._code(f"  … {counted(len(pieces) - MAX_PIECES, 'more change')}")
        if breakage.context:
            self.say("", breakage.context)

    def show_fixes(self, fixes: Fixes) -> None:
        """Write fixes, each with what running tests with it has shown."""
        for number, fix in enumerate(fixes.passing):
            self.say("or" if number else "fix", fix.verdict)
            self._show_diff(fix)
        if fixes.question:
            self.say("which?", fixes.question)
        if fixes.note:
            self.say("fix", fixes.note)
        elif fixes.tried and not fixes.passing:
            changes = counted(fixes.tried, "change")
            self.say("fix", f"none found: {changes} tried in {fixes.seconds:.1f} s")

    def _show_diff(self, fix: Fix) -> None:
        self._code(f"  {printable(fix.path)}:{fix.line}")
        for line in changed_lines(fix.diff):
            code = printable(line, tabs=True)
            self._code(f"  {code[:MAX_CODE_LINE]}")

    def say(self, label: str, text: str) -> None:
        """Write a labeled paragraph."""
        self._paragraph(_label(label), INDENT, text)

    def status(self, label: str, activity: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show on a live terminal what is being done, until `stream` gets its first piece."""
        return self._status.show(f"{_label(label)}{activity}")

    def stream(self, piece: str) -> None:
        """Write the next piece of a model's answer."""
        if self._stream is None:
            # The answer takes the place of the status line.
            self._status.hide()
            self._stream = _Paragraph(self._write, _label("why"), INDENT, self._width)
        self._stream.add(piece)

    def end_stream(self, ending: str) -> bool:
        """End the answer with `ending`; return False if no piece of it was written."""
        if self._stream is None:
            return False
        self._stream.add(ending)
        self._stream.end()
        self._stream = None
        return True

    def show_tests(self, nodeids: Sequence[str]) -> None:
        """Write all tests of a cause if there are several."""
        if len(nodeids) > 1:
            self.say("tests", ", ".join(_merge_parameters(nodeids)))

    def show_command(self, arguments: Sequence[str]) -> None:
        """Write a pytest command; on one line, so that it can be copied."""
        words = " ".join(shlex.quote(printable(argument)) for argument in arguments)
        self._write(f"{_label('rerun')}pytest {words}\n")

    def show_text(self, title: str, text: str) -> None:
        """Write a text between two rulers."""
        self._write_ruler(title)
        self._write(printable(text, tabs=True).rstrip("\n") + "\n")
        self._write_ruler("end")

    def _write_ruler(self, title: str) -> None:
        # One column less than the terminal: in the last one, Windows would begin a new line.
        ruler = f"----- {title} ".ljust(self._width - 1, "-")
        self._write(f"{ruler}\n")

    def remark(self, text: str) -> None:
        """Write a sentence about the whole section."""
        self._paragraph("", 0, text)

    def _code(self, line: str) -> None:
        indented = " " * INDENT + line
        self._write(indented.rstrip() + "\n")

    def _paragraph(self, start: str, indent: int, text: str) -> None:
        paragraph = _Paragraph(self._write, start, indent, self._width)
        paragraph.add(printable(text))
        paragraph.end()


class _Paragraph:
    """Wraps a text that arrives in pieces.

    Only whole words are written, so that an escape sequence is recognized however the
    text is divided.
    """

    def __init__(self, write: Callable[[str], None], start: str, indent: int, width: int) -> None:
        self._write = write
        self._indent = indent
        self._width = width
        self._word = ""
        self._column = indent
        write(start)

    def add(self, piece: str) -> None:
        # By character, because a piece may end within a word or an escape sequence.
        for character in piece:
            if character.isspace():
                self._write_word()
            else:
                self._word += character

    def end(self) -> None:
        self._write_word()
        self._write("\n")

    def _write_word(self) -> None:
        word = "".join(printable(self._word).split())
        # Cleared first, so that a Ctrl-C while it is written does not repeat it.
        self._word = ""
        for part in _split_word(word, self._width - self._indent):
            width = _columns(part)
            space = "" if self._column == self._indent else " "
            end = self._column + len(space) + width
            if space and end > self._width:
                self._write("\n" + " " * self._indent)
                space = ""
                end = self._indent + width
            self._write(space + part)
            self._column = end


def _label(label: str) -> str:
    return " " * MARGIN + label.ljust(LABEL_WIDTH)


def _heading(explanation: Explanation) -> str:
    """Return where a cause fails, how, and in which test."""
    place = ""
    if explanation.path:
        place = f"{explanation.path}:{explanation.line} in {explanation.function}"
    elif explanation.phase != "call":
        place = explanation.phase
    nodeids = explanation.nodeids
    tests = f"{len(nodeids)} tests"
    if len(nodeids) == 1:
        tests = one_line(nodeids[0], 200)
    return " · ".join(filter(None, [place, explanation.exception, tests]))


def _merge_parameters(nodeids: Sequence[str]) -> list[str]:
    """Return the tests, with all parameters of a function together: `a.py::test_b[1] [2]`."""
    functions: dict[str, list[str]] = {}
    for nodeid in nodeids:
        function, bracket, parameters = nodeid.partition("[")
        functions.setdefault(function, []).append(bracket + parameters)
    merged = []
    for function, all_parameters in functions.items():
        merged.append(function + " ".join(all_parameters))
    return merged


def _split_word(word: str, width: int) -> Iterator[str]:
    """Yield a word in parts of at most `width` columns."""
    part = ""
    columns = 0
    for character in word:
        if columns + _columns(character) > width:
            yield part
            part = ""
            columns = 0
        part += character
        columns += _columns(character)
    if part:
        yield part


def _columns(text: str) -> int:
    """Return the width of a text on a terminal: wide characters take two columns."""
    columns = 0
    for character in text:
        # Combining characters are drawn over the one before.
        if not unicodedata.combining(character):
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns
