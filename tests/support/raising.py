"""Runs code that raises, as a file of its own."""

from __future__ import annotations

import linecache
import types
from pathlib import Path

from pytest_starcoder.explain.facts import facts

MODULE = "pytest_starcoder"
"""Name of the module that the failing code believes to be."""


def raised_in(path: Path, code: str, **scope: object) -> tuple[BaseException, types.TracebackType]:
    """Return what `code` raises, a file of its own, with the last entry of its traceback there."""
    path.write_text(code, "utf-8")
    linecache.checkcache(str(path))
    try:
        exec(compile(code, str(path), "exec"), {"__name__": MODULE, **scope})
    except BaseException as exc:  # noqa: BLE001 - that is what is looked at
        entry, inner = exc.__traceback__, None
        while entry is not None:
            inner = entry if entry.tb_frame.f_code.co_filename == str(path) else inner
            entry = entry.tb_next
        assert inner is not None
        return exc, inner
    raise AssertionError("nothing was raised")


def observe(code: str, tmp_path: Path, **scope: object) -> tuple[str, ...]:
    """Return the facts on what `code` raises, a file of its own."""
    exc, entry = raised_in(tmp_path / "code.py", code, **scope)
    return facts(exc, entry.tb_frame, entry.tb_lineno, entry.tb_lasti)
