"""The status line."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from pytest_starcoder.report.status_line import StatusLine


class Terminal:
    """A terminal of one line."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    @property
    def line(self) -> str:
        """The line as it is shown now."""
        line = ""
        for part in self.text.split("\r"):
            line = part + line[len(part) :]
        return line.rstrip()

    def wait_for(self, line: str) -> None:
        end = time.monotonic() + 10
        while self.line != line:
            assert time.monotonic() < end, self.text
            time.sleep(0.001)


def status_line(terminal: Terminal, width: int = 80, *, live: bool = True) -> StatusLine:
    """Return a status line whose seconds pass ten times as fast."""
    seconds = itertools.count()
    return StatusLine(
        terminal.write, width, live=live, interval=0.1, clock=lambda: float(next(seconds))
    )


def test_short_wait() -> None:
    terminal = Terminal()
    with StatusLine(terminal.write, 80, live=True).show("asking"):
        pass
    assert terminal.text == ""


def test_hide_unused() -> None:
    terminal = Terminal()
    status_line(terminal).hide()
    assert terminal.text == ""


def test_seconds_until_hidden() -> None:
    terminal = Terminal()
    status = status_line(terminal)
    with status.show("asking starcoder2:7b"):
        terminal.wait_for("asking starcoder2:7b, 2 s")
        status.hide()
        text = terminal.text
        time.sleep(0.3)
    first, second = "asking starcoder2:7b, 1 s", "asking starcoder2:7b, 2 s"
    assert terminal.text == text == f"\r{first}\r{second}\r{' ' * len(second)}\r"


def test_progress() -> None:
    terminal = Terminal()
    with status_line(terminal).show("trying changes") as set_progress:
        set_progress(", 12 tried")
        terminal.wait_for("trying changes, 1 s, 12 tried")


def test_second_use() -> None:
    terminal = Terminal()
    status = StatusLine(terminal.write, 80, live=True, interval=0.01)
    for text in ("first", "second"):
        with status.show(text):
            terminal.wait_for(f"{text}, 0 s")
        assert terminal.line == ""


def test_width() -> None:
    terminal = Terminal()
    with status_line(terminal, 40).show("asking a model with a very long name indeed"):
        terminal.wait_for("asking a model with a very long name in")
    assert terminal.text == f"\rasking a model with a very long name in\r{' ' * 39}\r"


def test_no_terminal() -> None:
    terminal = Terminal()
    with status_line(terminal, live=False).show("asking starcoder2:7b"):
        time.sleep(0.3)
    assert terminal.text == ""


def test_control_characters() -> None:
    terminal = Terminal()
    with status_line(terminal).show("asking \x1b[2Jan\nother\x07"):
        terminal.wait_for("asking an other, 1 s")


def test_error() -> None:
    terminal = Terminal()

    def interrupt() -> None:
        with status_line(terminal).show("asking"):
            terminal.wait_for("asking, 1 s")
            assert "starcoder-status" in {thread.name for thread in threading.enumerate()}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert terminal.line == ""
    assert "starcoder-status" not in {thread.name for thread in threading.enumerate()}
