"""The diff of one file, with its hunks as `unidiff` parses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review.change import number_lines
from pytest_starcoder.source.diff import named_path, unquoted
from pytest_starcoder.source.git.patches import Entry
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from unidiff.patch import PatchedFile

REGULAR_FILE, SYMBOLIC_LINK, SUBMODULE = "100644", "120000", "160000"
"""Modes of files in git."""


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
        self.path = entry.path.encode("utf-8", "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )
        self._parsed = hunks

    @cached_property
    def hunks(self) -> list[PatchHunk] | None:
        """The hunks; None if the diff is cut off or damaged."""
        if self._parsed is not None:
            return self._parsed
        from unidiff.errors import UnidiffParseError

        *_, section = _git_sections(self.patch)  # a link that becomes a file has two
        # From its `--- ` line on: unidiff reads the path in the line `diff --git` as well, and
        # gets it wrong for a name with a space under diff.noprefix or diff.mnemonicPrefix.
        start = re.search(rb"(?m)^--- ", section)
        if start is None:
            return None
        try:
            files = _parse(section[start.start() :])
        except UnidiffParseError:
            return None
        hunks: list[PatchHunk] = []
        for file in files:
            hunks += _hunks(file)
        return hunks

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
    if b"diff --git " in diff:
        sections = [part for part in _git_sections(diff) if part.startswith(b"diff --git ")]
        patches = [FilePatch(_git_entry(section)) for section in sections]
    else:
        patches = _plain_patches(diff)
    if not patches and diff.strip():
        raise ConfigError("Standard input is not a diff.", "Pipe `git diff` into it.")
    for patch in patches:
        if patch.count_hunks() and patch.hunks is None:
            raise _damaged(f"at {one_line(patch.path, 200)}")
    return patches


def _damaged(place: str) -> ConfigError:
    return ConfigError(
        f"The diff on standard input is cut off or damaged {place}.",
        "Check the command before the pipe; `set -o pipefail` reports its failure.",
    )


def _git_sections(diff: bytes) -> list[bytes]:
    return re.split(rb"(?m)^(?=diff --git )", diff)


_HEADER_FIELD = re.compile(
    r"(?m)^(old mode|new mode|new file mode|deleted file mode|rename to|---|\+\+\+) (.+)$"
)


def _git_entry(section: bytes) -> Entry:
    """Read the header of one file in git's format.

    unidiff reads neither `rename to` nor names with spaces in the line `diff --git`.
    """
    header = section.partition(b"\n@@ ")[0].decode("utf-8", "surrogateescape")
    fields: dict[str, str] = dict(_HEADER_FIELD.findall(header))
    new_mode = fields.get("new mode") or fields.get("new file mode") or REGULAR_FILE
    if "rename to" in fields:
        status = "R"
    elif "deleted file mode" in fields or fields.get("+++") == "/dev/null":
        status = "D"
    elif fields.get("---") == "/dev/null":
        status = "A"
    else:
        status = "M"
    modes = (fields.get("old mode", new_mode), new_mode)
    return Entry(_git_path(header, fields), status, modes, ("", ""), section)


def _git_path(header: str, fields: dict[str, str]) -> str:
    """Return the path after the change, or before it for a deleted file."""
    after, before = fields.get("+++", "/dev/null"), fields.get("---", "/dev/null")
    if after != "/dev/null":
        return named_path(after)
    if "rename to" in fields:
        return unquoted(fields["rename to"])
    if before != "/dev/null":
        return named_path(before)
    names = header.partition("\n")[0].removeprefix("diff --git ")
    return named_path(names[(len(names) + 1) // 2 :].strip())  # twice the same name


def _plain_patches(diff: bytes) -> list[FilePatch]:
    """Return the files of a diff that is not in git's format."""
    from unidiff.errors import UnidiffParseError

    try:
        files = _parse(diff)
    except UnidiffParseError as exc:
        raise _damaged(f"({one_line(str(exc), 200)})") from exc
    patches = []
    for file in files:
        is_deleted = file.target_file == "/dev/null"
        path = named_path(file.source_file if is_deleted else file.target_file)
        status = "D" if is_deleted else "M"
        modes = (REGULAR_FILE, REGULAR_FILE)
        entry = Entry(path, status, modes, ("", ""), str(file).encode("utf-8", "replace"))
        patches.append(FilePatch(entry, list(_hunks(file))))
    return patches


def _parse(diff: bytes) -> list[PatchedFile]:
    """Parse a diff. Raises UnidiffParseError."""
    from unidiff.patch import PatchSet

    text = diff.decode("utf-8", "replace")
    # Split here: given a string, unidiff also ends lines at some control characters.
    return PatchSet([f"{line}\n" for line in text.removesuffix("\n").split("\n")])


def _hunks(file: PatchedFile) -> Iterator[PatchHunk]:
    for hunk in file:
        lines = []
        for line in hunk:
            if line.line_type in ("+", "-", " "):  # not the note on a missing end of line
                lines.append(line.line_type + line.value.rstrip("\r\n"))
        context = hunk.section_header.strip()
        yield PatchHunk(hunk.source_start, hunk.target_start, tuple(lines), context)
