"""The one line that can be written over: it counts the seconds, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pytest_starcoder.report.status_line import StatusLine


class Terminal:
    """What was written, and what of it a terminal of one line would show."""

    def __init__(self) -> None:
        self.written: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.written)

    @property
    def shown(self) -> str:
        shown = ""
        for part in self.text.split("\r"):
            shown = part + shown[len(part) :]
        return shown.rstrip()


def waiting_on(terminal: Terminal, width: int = 80, *, live: bool = True) -> StatusLine:
    return StatusLine(terminal.written.append, width, live=live)


def test_a_wait_shorter_than_a_second_shows_nothing() -> None:
    terminal = Terminal()
    with waiting_on(terminal).shown("asking"):
        pass
    assert terminal.text == ""


def test_hiding_what_was_never_shown_writes_nothing() -> None:
    terminal = Terminal()
    waiting_on(terminal).hide()
    assert terminal.text == ""


@pytest.mark.slow
def test_it_is_shown_each_second_until_it_is_hidden() -> None:
    terminal = Terminal()
    waiting = waiting_on(terminal)
    with waiting.shown("asking starcoder2:7b"):
        until(lambda: "2 s" in terminal.text)
        assert terminal.shown == "asking starcoder2:7b, 2 s"
        waiting.hide()
        hidden = terminal.text
        time.sleep(1.2)
    line = "asking starcoder2:7b, {} s"
    assert (
        terminal.text
        == hidden
        == f"\r{line.format(1)}\r{line.format(2)}\r{' ' * len(line.format(1))}\r"
    )


@pytest.mark.slow
def test_it_is_shown_again_the_next_time() -> None:
    terminal = Terminal()
    waiting = waiting_on(terminal)
    for text in ("first", "second"):
        with waiting.shown(text):
            until(lambda text=text: terminal.shown == f"{text}, 1 s")  # type: ignore[misc]
        assert terminal.shown == ""


@pytest.mark.slow
def test_no_line_is_so_long_that_it_could_wrap_and_none_of_it_stays() -> None:
    terminal = Terminal()
    with waiting_on(terminal, 40).shown("asking a model with a very long name indeed"):
        until(lambda: bool(terminal.written))
    assert terminal.text == f"\rasking a model with a very long name in\r{' ' * 39}\r"


@pytest.mark.slow
def test_nothing_is_shown_where_a_line_cannot_be_written_over() -> None:
    terminal = Terminal()
    with waiting_on(terminal, live=False).shown("asking starcoder2:7b"):
        time.sleep(1.2)
    assert terminal.text == ""


@pytest.mark.slow
def test_a_name_that_a_terminal_would_obey_is_made_harmless() -> None:
    terminal = Terminal()
    with waiting_on(terminal).shown("asking \x1b[2Jan\nother\x07"):
        until(lambda: bool(terminal.written))
        assert terminal.shown == "asking an other, 1 s"


@pytest.mark.slow
def test_an_error_ends_the_wait_and_its_thread() -> None:
    terminal = Terminal()

    def interrupted() -> None:
        with waiting_on(terminal).shown("asking"):
            until(lambda: bool(terminal.written))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.shown == ""
    assert "starcoder-waiting" not in {thread.name for thread in threading.enumerate()}


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
