"""Reads a diff into a `Change`: the hunks to ask about, and the rest with the reasons."""

from __future__ import annotations

import fnmatch
import math
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.review.change import TIME_LIMIT_REACHED, Change, Hunk, Unreviewed
from pytest_starcoder.review.changed_file import ChangedFile
from pytest_starcoder.review.file_patch import SUBMODULE, SYMBOLIC_LINK, FilePatch, PatchHunk
from pytest_starcoder.source.git.patches import Entry

AddedLines = Mapping[str, frozenset[int] | None]
"""The added lines of a change, by path; None for a file where they are unknown."""


def added_lines(entries: Iterable[Entry]) -> AddedLines:
    return {entry.path: FilePatch(entry).added_lines() for entry in entries}


def read_change(
    description: str,
    patches: Sequence[FilePatch],
    blobs: Mapping[str, bytes],
    exclude: Sequence[str] = (),
    other_sides: Sequence[AddedLines] = (),
    deadline: float = math.inf,
) -> Change:
    """Read a change, the smallest files first; none is begun after `deadline` (time.monotonic).

    `blobs` are the known contents of files after the change, `exclude` globs of files to leave
    out. `other_sides` are the lines that a merge adds to each of its other parents: only lines
    that are new to all parents are reviewed.
    """
    reader = _Reader(blobs, exclude, other_sides, deadline)
    smallest_first = sorted(patches, key=lambda patch: len(patch.patch))
    for patch in smallest_first:
        reader.learn_secrets(patch)  # of all files first: each may repeat another's secret
    # Keyed by patch rather than path: a diff from standard input may name a file twice.
    readings = {patch: reader.read(patch) for patch in smallest_first}
    return _join(description, patches, readings)


def _join(
    description: str, patches: Sequence[FilePatch], readings: Mapping[FilePatch, _FileReading]
) -> Change:
    """Return the change that consists of the files, in the order of the patches."""
    hunks: list[Hunk] = []
    unasked: list[Hunk] = []
    unreviewed: list[Unreviewed] = []
    texts: dict[str, str] = {}
    secrets: dict[str, Mapping[int, bool]] = {}
    git_error = ""
    for patch in patches:
        reading = readings[patch]
        hunks += reading.hunks
        unasked += reading.unasked
        unreviewed += reading.unreviewed
        secrets[patch.path] = reading.secrets
        if reading.text is not None:
            texts[patch.path] = reading.text
        if patch.entry.problem and not git_error:
            git_error = f"git could not read all of it: {patch.entry.problem.rstrip('.')}."
    return Change(
        description,
        hunks=tuple(hunks),
        unreviewed=tuple(unreviewed),
        files=len(patches),
        texts=texts,
        secrets=secrets,
        unasked=tuple(unasked),
        git_error=git_error,
    )


@dataclass
class _FileReading:
    """The part of a `Change` that one file makes."""

    path: str
    hunks: list[Hunk] = field(default_factory=list)
    unasked: list[Hunk] = field(default_factory=list)
    unreviewed: list[Unreviewed] = field(default_factory=list)
    text: str | None = None
    secrets: Mapping[int, bool] = field(default_factory=dict)

    def skip(self, reason: str, hunks: int = 0) -> None:
        self.unreviewed.append(Unreviewed(self.path, reason, hunks))


class _Reader:
    def __init__(
        self,
        blobs: Mapping[str, bytes],
        exclude: Sequence[str],
        other_sides: Sequence[AddedLines],
        deadline: float,
    ) -> None:
        self._blobs = blobs
        self._excluded = _compile_globs(exclude)
        self._other_sides = other_sides
        self._deadline = deadline
        self._redactor = Redactor.from_environment()
        self._next_number = 0

    def learn_secrets(self, patch: FilePatch) -> None:
        if self._is_late() or self._skip_reason(patch):
            return
        text = self._text(patch)
        if text is not None:
            self._redactor.learn(text)

    def read(self, patch: FilePatch) -> _FileReading:
        reading = _FileReading(patch.path)
        reason = self._skip_reason(patch)
        if reason:
            reading.skip(reason)
        elif self._is_late():
            hunks = patch.count_hunks()
            late = Unreviewed(patch.path, TIME_LIMIT_REACHED, hunks, is_missed=True)
            reading.unreviewed.append(late)
        elif patch.hunks is None:
            reading.skip("git's diff of it cannot be read")
        else:
            self._read_hunks(reading, patch, patch.hunks)
        return reading

    def _read_hunks(
        self, reading: _FileReading, patch: FilePatch, hunks: Sequence[PatchHunk]
    ) -> None:
        is_merge = bool(self._other_sides)
        counted = [self._counted_lines(hunk, patch.entry.path) for hunk in hunks]
        if is_merge and not any(counted):
            reading.skip("comes from the other branch")
            return
        file = ChangedFile(patch.path, self._text(patch), hunks, self._redactor)
        reading.text, reading.secrets = file.text, file.secrets
        for hunk, added in zip(hunks, counted, strict=True):
            reason = _adds_nothing(hunk)
            if is_merge and not added:
                continue
            if reason:
                reading.skip(reason, hunks=1)
            else:
                self._split_hunk(reading, file, hunk, added)

    def _split_hunk(
        self, reading: _FileReading, file: ChangedFile, hunk: PatchHunk, added: set[int]
    ) -> None:
        hunks, unasked = file.split(hunk, added, self._next_number)
        reading.hunks += hunks
        reading.unasked += unasked
        if hunks:
            self._next_number += 1
        if unasked:
            # A part without long lines counts the whole git hunk as reviewed.
            skipped_hunks = 0 if hunks else 1
            longest = max(max(map(len, part.lines)) for part in unasked)
            reading.skip(f"a line of {longest:,} characters", hunks=skipped_hunks)

    def _counted_lines(self, hunk: PatchHunk, path: str) -> set[int]:
        """Return the added lines to review: for a merge, those new to all its parents."""
        numbers = {number for number, _ in hunk.added()}
        for side in self._other_sides:
            # A side that does not touch the file adds nothing to it, so no line is new to all.
            lines = side.get(path, frozenset())
            if lines is not None:
                numbers &= lines
        return numbers

    def _text(self, patch: FilePatch) -> str | None:
        content = self._blobs.get(patch.entry.blobs[1])
        return None if content is None else content.decode("utf-8", "replace")

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _skip_reason(self, patch: FilePatch) -> str:
        """Return why nothing of a file is reviewed; empty if it has hunks."""
        entry = patch.entry
        if entry.status in _SKIPPED_STATUS:
            return _SKIPPED_STATUS[entry.status]
        if entry.modes[1] in _SKIPPED_MODE:
            return _SKIPPED_MODE[entry.modes[1]]
        # Before the reasons that only git knows: what is excluded cannot fail.
        if self._excluded.match(os.path.normcase(patch.path)):
            return "excluded"
        if patch.path.endswith(".ipynb"):
            return "a notebook"
        if entry.problem:
            return f"git cannot show its change: {entry.problem}"
        if entry.patch is None:
            return "its change is too large"
        if patch.is_binary():
            return "binary"
        return "" if patch.count_hunks() else _no_hunks_reason(entry)


_SKIPPED_STATUS = {"D": "deleted", "U": "unmerged"}
_SKIPPED_MODE = {SYMBOLIC_LINK: "a symbolic link", SUBMODULE: "a submodule"}


def _no_hunks_reason(entry: Entry) -> str:
    if entry.status == "R":
        return "renamed"
    if entry.status == "C":
        return "copied"
    old_mode, new_mode = entry.modes
    if entry.status == "M" and old_mode != new_mode:
        return "only its mode changes"
    return "empty"


def _adds_nothing(hunk: PatchHunk) -> str:
    """Return why nothing can be asked about a hunk; empty if it adds text."""
    texts = [text for _, text in hunk.added()]
    if not texts:
        return "only deletes lines"
    return "" if any(text.strip() for text in texts) else "only adds blank lines"


def _compile_globs(globs: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern for the paths that match a glob from the top or from any folder."""
    patterns = []
    for glob in globs:
        for variant in (glob, f"*/{glob}"):  # as in .gitignore
            patterns.append(fnmatch.translate(os.path.normcase(variant)))
    return re.compile("|".join(patterns) or "(?!)")
