"""Writes accepted fixes into the project's files, and answers as tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_starcoder.errors import os_reason
from pytest_starcoder.explain.fix_interface import Ask
from pytest_starcoder.explain.fixes import Fix, Fixes
from pytest_starcoder.files import UNLINK, LeadsOutside, replace_file, resolve_target
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.source.edits import apply_edits
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.display import counted


class Unwritable(Exception):
    """A fix cannot be written into a file: the reason, as a sentence."""


def apply(
    fixes: Sequence[Fix], root: Path, sources: SourceFiles, accept: Callable[[Fix], bool]
) -> list[str]:
    """Write the accepted fixes into the files below `root`; return messages.

    `sources` are the texts that the fixes were found for. A file that has changed since then
    stays as it is.
    """
    writer = _FixWriter(root.resolve(), sources)
    messages = []
    for fix in fixes:
        if not accept(fix):
            continue
        place = f"{fix.path}:{fix.line}"
        try:
            writer.write(fix)
        except (Unwritable, OSError) as exc:
            messages.append(f"{place} was not changed: {_reason(exc)}")
        else:
            advice = "Run the tests again; `git diff` shows the change."
            messages.append(f"{place} was changed. {advice}")
    return messages


class _FixWriter:
    """Writes fixes one after another, all of whose positions refer to the original sources."""

    def __init__(self, root: Path, sources: SourceFiles) -> None:
        self._root = root
        self._sources = sources
        self._tree = find_repository(root) or root
        self._written: dict[str, dict[Edit, None]] = {}

    def write(self, fix: Fix) -> None:
        """Write all files of a fix, or none. Raises Unwritable and OSError."""
        paths = {edit.path for edit in fix.edits}
        contents = {path: self._content(path, fix) for path in paths}
        # Check all files before the first one is written.
        for path in paths:
            resolve_target(self._root / path, self._tree)  # raises LeadsOutside
        for path, content in contents.items():
            replace_file(self._root / path, content, self._tree)
        for edit in fix.edits:
            self._written.setdefault(edit.path, {})[edit] = None

    def _content(self, path: str, fix: Fix) -> bytes:
        """Return the new content of a file. Raises Unwritable and OSError."""
        source = self._sources(path)
        written = self._written.get(path, {})
        try:
            text = (self._root / path).read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise Unwritable("it is not in UTF-8") from None
        has_crlf = "\r\n" in text
        if has_crlf and text.count("\r\n") != text.count("\n"):
            raise Unwritable("it mixes line endings")
        # Edits of this run are expected in the file, and anything else is the user's.
        expected = apply_edits(source, list(written))
        if text.replace("\r\n", "\n") != expected:
            raise Unwritable("it has changed since the tests ran")
        edits = list(written)
        for edit in fix.edits:
            # An earlier fix may contain the same edit.
            if edit.path == path and edit not in written:
                edits.append(edit)
        try:
            text = apply_edits(source, edits)
        except ValueError:
            raise Unwritable("another fix has already changed these lines") from None
        if has_crlf:
            text = text.replace("\n", "\r\n")
        return text.encode("utf-8")


def _reason(exc: Unwritable | OSError) -> str:
    """Return why a file was not written, with a hint if there is one."""
    if isinstance(exc, LeadsOutside):
        return f"{exc.strerror}. {UNLINK}"
    return f"{os_reason(exc) if isinstance(exc, OSError) else exc}."


def confirm(fix: Fix, ask: Ask) -> bool:
    """Ask the user whether to write a fix."""
    tests = counted(len(fix.failing), "failing test")
    verb = "passes" if len(fix.failing) == 1 else "pass"
    question = f"Apply this fix to {fix.path}:{fix.line}? {tests} {verb} with it. [y/N] "
    hint = "Use --starcoder-apply=yes."
    answer = ask(question, hint)
    while answer not in ("y", "yes", "n", "no", ""):
        answer = ask(f"Answer y or n. {question}", hint)
    return answer in ("y", "yes")


def add_answer(fixes: Fixes, root: Path, path: str, ask: Ask) -> str:
    """Ask which of two fixes is right and add the answer to a test file; return a message.

    The message is empty if there is no answer.
    """
    first, second = fixes.outcomes
    question = f"Which is right: {fixes.call} 1. {first}, 2. {second}? [1/2/N] "
    answer = ask(question, "Answer --starcoder-write on one.")
    if answer not in ("1", "2"):
        return ""
    body = fixes.answers[int(answer) - 1]
    try:
        return add_test(root.resolve(), path, body, fixes.call)
    except OSError as exc:
        return f"{path} was not changed: {_reason(exc)}"


def add_test(root: Path, path: str, body: str, call: str) -> str:
    """Append a test with this body to a file in `root`; return a message. Raises OSError."""
    if REDACTED in body:
        return "No test was written: it contains a secret. Write it by hand, without the secret."
    file = root / path
    text = file.read_bytes().decode("utf-8")  # read_text would lose the line endings
    name = _unused_name(call, text)
    test = f"\n\ndef {name}() -> None:\n{body}"
    if text and not text.endswith("\n"):
        test = f"\n{test}"
    if "\r\n" in text:
        test = test.replace("\n", "\r\n")
    tree = find_repository(root) or root
    replace_file(file, (text + test).encode("utf-8"), tree)
    return f"{name} was added to {file.name}. Run the tests again."


def _unused_name(call: str, text: str) -> str:
    """Return a name for the test of a call that no function in `text` has."""
    function, _, _ = call.partition("(")
    function = re.sub(r"\W+", "_", function).strip("_")
    stem = f"test_{function or 'answer'}"
    number = 1
    while re.search(rf"\bdef {stem}_{number}\b", text):
        number += 1
    return f"{stem}_{number}"
