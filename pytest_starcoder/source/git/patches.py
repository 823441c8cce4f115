"""Reads the output of `git diff --raw --patch -z`."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MAX_CHANGE_BYTES = 8_000_000
"""Maximum size of all patches of a change; the largest are left out."""

MAX_FILE_BYTES = 1_000_000
"""Maximum size of the patch of one file, and of a file that is read for context."""

_PATCH_START = re.compile(rb"(?m)^(?=diff --git )")

_RECORD = re.compile(
    rb":(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*"
    # A rename or copy has two paths; git writes its score with three digits.
    rb"(?:(?<= [RC]\d\d\d)\0[^\0]+)?\0(?P<path>[^\0]+)\0"
)
"""A record of `--raw -z`; for a rename or copy, `path` is the second path."""


class Entry(NamedTuple):
    """One file of a change.

    `status` is git's letter: A, C, D, M, R, T (another type) or U (unmerged).
    `modes` and `blobs` are those before and after, in full. `patch` is the diff of the file
    from `diff --git` on; it is None if it is too large, or for the reason in `problem`.
    """

    path: str
    status: str
    modes: tuple[str, str]
    blobs: tuple[str, str]
    patch: bytes | None = None
    problem: str = ""

    @property
    def patch_count(self) -> int:
        """Return the number of patches that git prints: two where a file became a link."""
        return {"U": 0, "T": 2}.get(self.status, 1)


def read_output(output: bytes) -> tuple[list[Entry], list[bytes]]:
    """Return the entries in the output of a diff, and all patches in order.

    A patch that is too large is empty. If all together are, the smallest are kept.
    """
    entries, rest = read_records(output)
    patches = []
    for patch in _PATCH_START.split(rest)[1:]:
        patches.append(patch if len(patch) <= MAX_FILE_BYTES else b"")
    total = sum(len(patch) for patch in patches)
    largest_first = sorted(range(len(patches)), key=lambda index: -len(patches[index]))
    for index in largest_first:
        if total <= MAX_CHANGE_BYTES:
            break
        total -= len(patches[index])
        patches[index] = b""
    return entries, patches


def read_records(output: bytes) -> tuple[list[Entry], bytes]:
    """Return the entries at the start of `git diff --raw -z`, and the output after them."""
    entries = []
    end = 0
    while match := _RECORD.match(output, end):
        old_mode, new_mode, old_blob, new_blob, status = (
            group.decode("ascii") for group in match.groups()[:5]
        )
        path = os.fsdecode(match["path"])
        entries.append(Entry(path, status, (old_mode, new_mode), (old_blob, new_blob)))
        end = match.end()
    return entries, output[end:].removeprefix(b"\0")


def add_patches(entries: list[Entry], patches: list[bytes]) -> list[Entry]:
    """Return the entries with their patches, given all patches in order."""
    remaining = iter(patches)
    complete = []
    for entry in entries:
        patch = b"".join(next(remaining) for _ in range(entry.patch_count))
        complete.append(entry._replace(patch=patch or None))
    return complete
