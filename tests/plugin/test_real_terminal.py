"""On a real terminal: the line that says for how long a model has been asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import pytest
from support.screens import MEAN
from support.servers import FakeOllama

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
pytestmark = pytest.mark.slow


def on_a_terminal(command: list[str], environment: Mapping[str, str]) -> str:
    """What a command writes to a terminal of its own, to the letter."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environment)
    written = b""
    while True:
        try:
            piece = os.read(screen, 4096)
        except OSError:  # the terminal is gone with its last process
            piece = b""
        if not piece:
            break
        written += piece
    os.waitpid(pid, 0)
    os.close(screen)
    return written.decode()


def shown(line: str) -> str:
    """What a terminal shows of a line in which a carriage return writes over what was there."""
    cells: list[str] = []
    for part in line.rstrip("\r").split("\r"):
        cells[: len(part)] = part
    return "".join(cells).rstrip()


def test_the_waiting_line_counts_and_is_gone_in_the_end(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.delay = 2.5
    pytester.makepyfile(**MEAN)
    command = [sys.executable, "-m", "pytest", "--starcoder-explain", "--color=no"]
    written = on_a_terminal(command, {**os.environ, "COLUMNS": "80", "TERM": "xterm"})
    for second in (1, 2):
        assert f"\r     why       asking starcoder2:7b, {second} s" in written
    screen = [shown(line) for line in written.split("\n")]
    assert not [line for line in screen if "asking" in line]
    assert "     why       The test fails because the divisor is one too small." in screen
    assert "\x1b" not in written


def test_without_a_terminal_nothing_is_written_over(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.delay = 1.5
    pytester.makepyfile(**MEAN)
    screen = pytester.runpytest_subprocess("--starcoder-explain").stdout.str()
    assert "asking" not in screen
    assert "\r" not in screen
