"""Where a person sees a review while it runs and after it passed.

pre-commit and prek show nothing of a hook that passes, and hold back what it
prints until it ends; the terminal itself is the only place to say how far it
is, and how far it went.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from pytest_starcoder.report.status_line import Waiting
from pytest_starcoder.text.display import one_line


class Screen:
    """The terminal of whoever waits: behind a hook framework it is opened by its name, else it is standard error."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._framed = environ.get("PRE_COMMIT") == "1"
        self._redraws = any(
            name.startswith("PREK") for name in environ
        )  # its lines move while a hook runs
        self._terminal: TextIO | None = None
        self._begun = False
        if self._framed and os.name == "posix":
            with contextlib.suppress(OSError):
                self._terminal = open("/dev/tty", "w", encoding="utf-8", errors="replace")  # noqa: SIM115, PTH123

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Shows that something is waited for, on a terminal alone."""
        live = (
            self._terminal is not None and not self._redraws
            if self._framed
            else sys.stderr.isatty()
        )
        waiting = Waiting(self._write, shutil.get_terminal_size().columns, live=live)
        with waiting.shown(text) as far:
            yield far

    def passed(self, line: str) -> None:
        """Says how far a review went that stops nothing, where nobody would see it otherwise."""
        if self._terminal is not None:
            self._write(("" if self._begun else "\r\n") + f"{one_line(line, 1000)}\r\n")

    def close(self) -> None:
        if self._terminal is not None:
            self._terminal.close()

    def _write(self, text: str) -> None:
        if self._terminal is None:
            if not self._framed:
                sys.stderr.write(text)
                sys.stderr.flush()
            return
        if not self._begun and text.startswith("\r") and not text.startswith("\r\n"):
            text = "\r\n" + text  # the line with the hook's name stays
        self._begun = True
        with contextlib.suppress(OSError):
            self._terminal.write(text)
            self._terminal.flush()
