"""The diff of one file, with its hunks as `unidiff` parses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review.change import number_lines
from pytest_starcoder.source.diff import parse_path
from pytest_starcoder.source.git.patches import Entry
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from unidiff.patch import PatchedFile

REGULAR_FILE, SYMBOLIC_LINK, SUBMODULE = "100644", "120000", "160000"
"""Modes of files in git."""

NO_FILE = "/dev/null"
"""The name of the file before it was added, or after it was deleted."""


class PatchHunk(NamedTuple):
    """A git hunk, or a part of one: signed lines, and the numbers of the first before and after.

    `context` is the text after the second `@@`.
    """

    old: int
    new: int
    lines: tuple[str, ...]
    context: str = ""

    def numbered(self) -> Iterator[tuple[int, str]]:
        return number_lines(self.lines, self.new)

    def added(self) -> Iterator[tuple[int, str]]:
        """Yield the added lines without their sign, each with its number."""
        for number, line in self.numbered():
            if line.startswith("+"):
                yield number, line[1:]


class FilePatch:
    """One file of a change; its hunks are parsed when they are first needed."""

    def __init__(self, entry: Entry, hunks: list[PatchHunk] | None = None) -> None:
        self.entry = entry
        self.patch = entry.patch or b""
        # The path is shown and compared as text, so bytes that are not UTF-8 are escaped.
        path = entry.path.encode("utf-8", "surrogateescape")
        self.path = path.decode("utf-8", "backslashreplace")
        self._parsed = hunks

    @cached_property
    def hunks(self) -> list[PatchHunk] | None:
        """The hunks; None if the diff is cut off or damaged."""
        from unidiff.errors import UnidiffParseError

        if self._parsed is not None:
            return self._parsed
        *_, section = _git_sections(self.patch)  # a link that becomes a file has two
        _, lines = _split_header(section)
        hunks: list[PatchHunk] = []
        try:
            for file in _parse(lines):
                hunks += _hunks(file)
        except UnidiffParseError:
            return None
        return hunks or None  # without a line `---` there is nothing to parse

    def count_hunks(self) -> int:
        """Count the hunks without parsing them."""
        return len(re.findall(rb"(?m)^@@ ", self.patch))

    def is_binary(self) -> bool:
        return re.search(rb"(?m)^(?:Binary files |GIT binary patch)", self.patch) is not None

    def added_lines(self) -> frozenset[int] | None:
        """Return the numbers of the added lines; None if the change is unknown."""
        if self.entry.status in "DU" or (self.patch and not self.count_hunks()):
            return frozenset()
        if self.hunks is None:
            return None
        numbers: set[int] = set()
        for hunk in self.hunks:
            numbers.update(number for number, _ in hunk.added())
        return frozenset(numbers)


def parse_diff(diff: bytes) -> list[FilePatch]:
    """Return the files of the diff on standard input. Raises ConfigError if it is unreadable."""
    from unidiff.errors import UnidiffParseError

    try:
        patches = _parse_files(diff)
    except UnidiffParseError as exc:
        raise _damaged(f"({one_line(str(exc), 200)})") from exc
    for patch in patches:
        if patch.count_hunks() and patch.hunks is None:
            raise _damaged(f"at {one_line(patch.path, 200)}")
    if not patches and diff.strip():
        raise ConfigError("Standard input is not a diff.", "Pipe `git diff` into it.")
    return patches


def _parse_files(diff: bytes) -> list[FilePatch]:
    # `git show` writes the commit before the first section.
    sections = [part for part in _git_sections(diff) if part.startswith(b"diff --git ")]
    if sections:
        return list(map(_git_patch, sections))
    return _plain_patches(diff)


def _damaged(place: str) -> ConfigError:
    return ConfigError(
        f"The diff on standard input is cut off or damaged {place}.",
        "Check the command before the pipe; `set -o pipefail` reports its failure.",
    )


def _git_sections(diff: bytes) -> list[bytes]:
    return re.split(rb"(?m)^(?=diff --git )", diff)


def _git_patch(section: bytes) -> FilePatch:
    header_lines, lines = _split_header(section)
    headers = _parse(header_lines)
    if not headers:
        raise _damaged(f"at {one_line(header_lines[0], 200)}")
    # A renamed or binary file has no lines `---` and `+++`.
    names = _parse(lines[:2]) or headers
    return FilePatch(_entry(names[0], headers[0], section))


def _plain_patches(diff: bytes) -> list[FilePatch]:
    patches = []
    # Parsed as a whole: only the counts in `@@` tell where the hunks of a file end.
    for file in _parse(_lines(diff)):
        entry = _entry(file, file, str(file).encode("utf-8", "replace"))
        patches.append(FilePatch(entry, list(_hunks(file))))
    return patches


def _entry(names: PatchedFile, header: PatchedFile, patch: bytes) -> Entry:
    """Return a file with the `names` of its lines `---` and `+++`, and the modes of its header."""
    is_deleted = NO_FILE in (names.target_file, header.target_file)
    path = parse_path(names.source_file if is_deleted else names.target_file)
    if is_deleted:
        status = "D"
    elif NO_FILE in (names.source_file, header.source_file):
        status = "A"
    else:
        status = "R" if "rename to " in str(header.patch_info) else "M"
    new_mode = header.target_mode or REGULAR_FILE
    old_mode = header.source_mode or new_mode
    return Entry(path, status, (old_mode, new_mode), ("", ""), patch)


def _split_header(section: bytes) -> tuple[list[str], list[str]]:
    """Return the lines of git's header and those from `---` on, to parse them apart.

    unidiff compares the names in the lines `diff --git` and `+++`, and misreads the former
    under diff.noprefix or diff.mnemonicPrefix if they contain spaces.
    """
    lines = _lines(section)
    start = 0
    while start < len(lines) and not lines[start].startswith("--- "):
        start += 1
    return lines[:start], lines[start:]


def _lines(diff: bytes) -> list[str]:
    """Split a diff at newlines only: from a string, unidiff splits at other characters, too."""
    text = diff.decode("utf-8", "replace").removesuffix("\n")
    return [f"{line}\n" for line in text.split("\n")]


def _parse(lines: list[str]) -> list[PatchedFile]:
    from unidiff.patch import PatchSet

    return PatchSet(lines)


def _hunks(file: PatchedFile) -> Iterator[PatchHunk]:
    for hunk in file:
        lines = []
        for line in hunk:
            if line.line_type in ("+", "-", " "):  # not the note on a missing end of line
                lines.append(line.line_type + line.value.rstrip("\r\n"))
        context = hunk.section_header.strip()
        yield PatchHunk(hunk.source_start, hunk.target_start, tuple(lines), context)
