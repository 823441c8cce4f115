"""Sentences on why no change is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_starcoder.culprit.comparisons import Changes
from pytest_starcoder.culprit.pieces import Piece
from pytest_starcoder.explain.breakage import Breakage

MAX_LISTED_FILES = 3
"""Maximum number of files that a sentence names."""

BY_CHANCE = Breakage(note="no change was undone: after the same tests, it fails only sometimes")

NOT_REPRODUCED = Breakage(
    note="no change was undone: in the sandbox, the test does not fail as it did in the run "
    "(it may need a service, or something that another run left behind)"
)

SHALLOW = Breakage(
    note="no change was undone: this clone has no commit to compare with (fetch-depth: 0, or "
    "GIT_DEPTH: 0, fetches the history)"
)

UNCHANGED = Breakage(
    note="no change was undone: nothing has changed since the last commit "
    "(--starcoder-since=REF compares with another one)"
)

NO_REPOSITORY = Breakage(note="no change was undone: this project is not in a git repository")

VARIES = Breakage(note="no change is named: undoing changes gives a different result each time")


def unavailable(reason: object) -> Breakage:
    """Return why tests cannot run with other code here."""
    return Breakage(note=f"no change was undone: {reason}")


def new_since(reason: str, changes: Changes) -> Breakage:
    """Return that what fails is new, with a reason of `new_in_test`."""
    return Breakage(since=changes.since, note=f"{reason} since {changes.since}")


def not_these(changes: Changes) -> Breakage:
    """Return that the changes are not to blame."""
    return Breakage(
        since=changes.since,
        total=changes.total,
        left_out=changes.left_out,
        note=f"not by the changes since {changes.since}: it fails the same way without them",
    )


def out_of_time(pieces: Iterable[Piece], changes: Changes, setting: str) -> Breakage:
    """Return a note that the time of `setting` ran out, and which files the culprit may be in."""
    note = f"time ran out while changes were undone (setting {setting})"
    paths = sorted({piece.path for piece in pieces})
    if len(paths) > MAX_LISTED_FILES:
        note += f": the culprit is in one of {len(paths)} files, such as {paths[0]}"
    elif paths:
        note += f": the culprit is in {' or '.join(paths)}"
    return Breakage(since=changes.since, left_out=changes.left_out, note=note)


def no_time(setting: str) -> Breakage:
    """Return a note that the time of `setting` ran out before a test could run."""
    return Breakage(note=f"no change was undone: time ran out (setting {setting})")


def each_once(breakages: Sequence[Breakage]) -> list[Breakage]:
    """Return the breakages without the notes that an earlier one has."""
    notes = {""}
    different = []
    for breakage in breakages:
        is_repeated = breakage.note in notes
        notes.add(breakage.note)
        different.append(replace(breakage, note="") if is_repeated else breakage)
    return different
