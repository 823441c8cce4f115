"""Fixes written into the project's files, one after the other, and only where the user said so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_starcoder.edits import edited
from pytest_starcoder.evidence.suspicion import Sources
from pytest_starcoder.text.display import counted
from pytest_starcoder.values import Edit, Fix


class Unwritable(Exception):
    """Why a fix cannot be put into a file, as a sentence."""


def apply(fixes: Sequence[Fix], root: Path, sources: Sources, accept: Callable[[Fix], bool]) -> list[str]:
    """Writes those of the fixes that are accepted into the files below `root`; sentences on what was done.

    `sources` are the texts that the fixes were found in: a file that is
    another one by now stays as it is.
    """
    told: list[str] = []
    made: dict[str, list[Edit]] = {}
    for fix in fixes:
        if not accept(fix):
            continue
        paths = dict.fromkeys(edit.path for edit in fix.edits)
        wanted = {path: [*made.get(path, ()), *(edit for edit in fix.edits if edit.path == path)] for path in paths}
        try:
            contents = {
                root / path: _changed(root / path, sources(path), made.get(path, []), wanted[path]) for path in paths
            }
            for file, content in contents.items():
                file.write_bytes(content)
        except (Unwritable, OSError) as exc:
            reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
            told.append(f"{fix.path}:{fix.line} was not changed: {reason}.")
            continue
        made |= wanted
        told.append(f"{fix.path}:{fix.line} was changed. Run the tests again; `git diff` shows what was written.")
    return told


def _changed(file: Path, source: str, made: Sequence[Edit], wanted: Sequence[Edit]) -> bytes:
    """What the file is to hold, in which `made` edits of `source` stand already, once all of `wanted` are."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Unwritable("it is not in UTF-8") from None
    windows = "\r\n" in text
    if windows and text.count("\r\n") != text.count("\n"):
        raise Unwritable("its lines end in two ways")
    if text.replace("\r\n", "\n") != edited(source, made):
        raise Unwritable("it was changed since the tests ran")
    try:
        after = edited(source, list(dict.fromkeys(wanted)))
    except ValueError:
        raise Unwritable("another fix has changed the same place") from None
    return (after.replace("\n", "\r\n") if windows else after).encode("utf-8")


def asking(config: pytest.Config, write: Callable[[str], None]) -> Callable[[Fix], bool]:
    """Asks the user on the terminal about each fix; without a terminal nothing is accepted, and that is said."""
    captured = config.pluginmanager.getplugin("capturemanager")
    said = False

    def accept(fix: Fix) -> bool:
        nonlocal said
        if captured is not None:
            captured.suspend_global_capture(in_=True)
        try:
            if sys.stdin is not None and sys.stdin.isatty():
                tests = counted(len(fix.failing), "failing test")
                write(f"Change {fix.path}:{fix.line}, with which {tests} passed? [y/N] ")
                return sys.stdin.readline().strip().lower() in ("y", "yes")
        finally:
            if captured is not None:
                captured.resume_global_capture()
        if not said:
            write("Nothing was written: there is no terminal to ask on. Use --starcoder-apply=yes.\n")
            said = True
        return False

    return accept
