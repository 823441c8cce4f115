"""Questions to the user on the terminal of a session."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


class TerminalQuestions:
    """Asks the user on the terminal, where there is one."""

    def __init__(self, config: pytest.Config, write: Callable[[str], None]) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._write = write
        self._hints: set[str] = set()

    def ask(self, question: str, hint: str) -> str:
        """Return the user's answer in lower case.

        Without a terminal it is empty, and a message with `hint` is written, once.
        """
        # pytest replaces stdin while it captures output.
        if self._capture is not None:
            self._capture.suspend_global_capture(in_=True)
        try:
            if sys.stdin is not None and sys.stdin.isatty():
                self._write(question)
                return sys.stdin.readline().strip().lower()
        finally:
            if self._capture is not None:
                self._capture.resume_global_capture()
        if hint not in self._hints:
            self._write(f"Nothing was written: there is no terminal to ask in. {hint}\n")
        self._hints.add(hint)
        return ""
