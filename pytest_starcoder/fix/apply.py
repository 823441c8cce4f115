"""Fixes written into the project's files, one after the other, and only where the user said so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_starcoder.explain.fix_search import Ask
from pytest_starcoder.files import UNLINK, LeadsOutside, replace_file, target_of
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.runner.fixes import Fix, Fixes
from pytest_starcoder.source.edits import edited
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.display import counted


class Unwritable(Exception):
    """Why a fix cannot be put into a file, as a sentence."""


def apply(
    fixes: Sequence[Fix], root: Path, sources: SourceFiles, accept: Callable[[Fix], bool]
) -> list[str]:
    """Writes those of the fixes that are accepted into the files below `root`; sentences on what was done.

    `sources` are the texts that the fixes were found in: a file that is
    another one by now stays as it is.
    """
    root = root.resolve()
    tree = _tree(root)
    told: list[str] = []
    made: dict[str, list[Edit]] = {}
    for fix in fixes:
        if not accept(fix):
            continue
        paths = dict.fromkeys(edit.path for edit in fix.edits)
        wanted = {
            path: [*made.get(path, ()), *(edit for edit in fix.edits if edit.path == path)]
            for path in paths
        }
        try:
            contents = {
                root / path: _changed(root / path, sources(path), made.get(path, []), wanted[path])
                for path in paths
            }
            for file in contents:
                target_of(file, tree)  # check all of them before writing any
            for file, content in contents.items():
                replace_file(file, content, tree)
        except (Unwritable, OSError) as exc:
            told.append(f"{fix.path}:{fix.line} was not changed: {_reason(exc)}")
            continue
        made |= wanted
        told.append(
            f"{fix.path}:{fix.line} was changed. Run the tests again; `git diff` shows what was written."
        )
    return told


def _tree(root: Path) -> Path:
    """Return the working tree that all writes must stay in."""
    return find_repository(root) or root


def _reason(exc: Unwritable | OSError) -> str:
    """Return why a file was not written, with a hint if there is one."""
    if isinstance(exc, LeadsOutside):
        return f"{exc.strerror}. {UNLINK}"
    return f"{(exc.strerror if isinstance(exc, OSError) else None) or exc}."


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


def confirm(fix: Fix, ask: Ask) -> bool:
    """Ask the user whether to write a fix."""
    tests = counted(len(fix.failing), "failing test")
    question = f"Change {fix.path}:{fix.line}, with which {tests} passed? [y/N] "
    return ask(question, "Use --starcoder-apply=yes.") in ("y", "yes")


def add_answer(fixes: Fixes, root: Path, path: str, ask: Ask) -> str:
    """Ask which of the fixes is right and add the answer as a test; return a message.

    The message is empty if there is no answer.
    """
    first, second = fixes.outcomes
    question = f"Which is right: {fixes.call} 1. {first}, 2. {second}? [1/2/N] "
    answer = ask(question, "Answer --starcoder-write on one.")
    if answer not in ("1", "2"):
        return ""
    try:
        return keep(root.resolve(), path, fixes.answers[int(answer) - 1], fixes.call)
    except OSError as exc:
        return f"{path} was not changed: {_reason(exc)}"


def keep(root: Path, path: str, body: str, call: str) -> str:
    """Append a test with this body to a test file in `root`; return a message. Raises OSError."""
    if REDACTED in body:
        return "No test was written: it contains a secret. Write it by hand, without the secret."
    file = root / path
    raw = file.read_bytes().decode("utf-8")
    name = "test_" + (re.sub(r"\W+", "_", call.partition("(")[0]).strip("_") or "answer")
    number = 1
    while re.search(rf"\bdef {name}_{number}\b", raw):
        number += 1
    text = f"\n\ndef {name}_{number}() -> None:\n{body}"
    if raw and not raw.endswith("\n"):
        text = f"\n{text}"
    added = text.replace("\n", "\r\n") if "\r\n" in raw else text
    replace_file(file, (raw + added).encode("utf-8"), _tree(root))
    return f"{name}_{number} was added to {file.name}. Run the tests again."
