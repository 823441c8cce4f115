"""The terminal on which a person watches a hook.

pre-commit and prek show nothing of a hook that passes, and hold back its output until it
ends. So progress and the summary of a passing review are written to the terminal itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pytest_starcoder.report.status_line import StatusLine
from pytest_starcoder.text.display import one_line


class HookTerminal:
    """/dev/tty under a hook framework, otherwise standard error."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._is_hook = environ.get("PRE_COMMIT") == "1"
        # prek redraws its lines while a hook runs, which would mix with progress.
        self._is_prek = any(name.startswith("PREK") for name in environ)
        self._terminal: TextIO | None = None
        self._has_written = False
        if self._is_hook and os.name == "posix":
            with contextlib.suppress(OSError):
                terminal = Path("/dev/tty")
                self._terminal = terminal.open("w", encoding="utf-8", errors="replace")

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show `text` and the seconds while the block runs, if this is a terminal.

        The block gets a function that shows more text behind them.
        """
        if self._is_hook:
            is_live = self._terminal is not None and not self._is_prek
        else:
            is_live = sys.stderr.isatty()
        waiting = StatusLine(self._write, shutil.get_terminal_size().columns, live=is_live)
        with waiting.show(text) as show:
            yield show

    def show_passed(self, line: str) -> None:
        """Show a line about a passing review, whose output the framework hides."""
        if self._terminal is not None:
            start = "" if self._has_written else "\r\n"
            self._write(f"{start}{one_line(line, 1000)}\r\n")

    def close(self) -> None:
        if self._terminal is not None:
            self._terminal.close()

    def _write(self, text: str) -> None:
        if not self._is_hook:
            sys.stderr.write(text)
            sys.stderr.flush()
        elif self._terminal is not None:
            if not self._has_written and text.startswith("\r") and not text.startswith("\r\n"):
                text = "\r\n" + text  # the line with the hook's name stays
            self._has_written = True
            with contextlib.suppress(OSError):
                self._terminal.write(text)
                self._terminal.flush()
