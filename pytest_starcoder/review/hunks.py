"""A diff of git's as hunks that a model can be asked about; what of it is none is listed with the reason.

Hunks are git's, with three lines around them; a long one is asked about in
parts, cut where a definition begins. Text is UTF-8, and what is none is shown
with a sign in its place.
"""

from __future__ import annotations

import fnmatch
import math
import os
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from pytest_starcoder.redaction.redactor import Redactor, has_token
from pytest_starcoder.review.finding import SPENT, Change, Hunk, Unreviewed
from pytest_starcoder.review.rules import is_made_up, is_test_file
from pytest_starcoder.source.definitions import Definition, Definitions
from pytest_starcoder.source.diff import named_path, unquoted
from pytest_starcoder.source.git.patches import Entry

PART = 2400
"""Characters from which on a hunk is asked about in parts."""

LONGEST_LINE = 1000
"""Maximum characters of a line; longer ones are not handwritten, and no model is asked."""

BASE = 1000
"""Characters that a prompt shows of a definition as it was before."""

AROUND = 32
"""Lines that are shown before and after a change: as many as StarCoder2 was shown (arXiv:2402.19173, 5.2)."""

_LINK, _MODULE = "120000", "160000"


class _Part(NamedTuple):
    """One hunk as it is in the diff, with the numbers of its first lines before and after."""

    old: int
    new: int
    lines: tuple[str, ...]
    context: str = ""

    def added(self) -> Iterator[tuple[int, str]]:
        at = self.new
        for line in self.lines:
            if line.startswith("+"):
                yield at, line[1:]
            at += not line.startswith("-")


AddedLines = Mapping[str, frozenset[int] | None]
"""Return the added lines of a change, by path; None for a file where they are unknown."""


def change_of(
    what: str,
    entries: Sequence[Entry],
    blobs: Mapping[str, bytes],
    exclude: Sequence[str] = (),
    others: Sequence[AddedLines] = (),
    until: float = math.inf,
) -> Change:
    """The change of `entries`; `blobs` are the contents of the files after it, as far as they are known.

    `exclude` are globs of files that are left out. For a merge `others` are the
    lines that it adds to each of its other parents: it is answerable for those
    that are new to all. The smallest changes are read first, and none is started
    after `until`, a time of `time.monotonic`.
    """
    redactor = Redactor.from_environment()
    excluded = _any_of(exclude)
    readings: dict[int, _Reading] = {}
    smallest_first = sorted(range(len(entries)), key=lambda at: len(entries[at].patch or b""))
    for index in smallest_first:  # a secret found in one file is hidden in all
        _learn(redactor, entries[index], blobs, excluded, until)
    number = 0
    for index in smallest_first:
        entry = entries[index]
        reading = _Reading(_shown(entry.path))
        readings[index] = reading
        reason = _reason(entry, reading.path, excluded)
        if reason:
            reading.skipped.append(Unreviewed(reading.path, reason))
        elif time.monotonic() >= until:
            hunks = len(re.findall(rb"(?m)^@@ ", entry.patch or b""))
            reading.unreached.append(Unreviewed(reading.path, SPENT, hunks))
        else:
            _read(reading, entry, blobs.get(entry.blobs[1]), redactor, others, number)
            number += reading.numbers
    ordered = [readings[index] for index in range(len(entries))]
    problems = [entry.problem for entry in entries if entry.problem]
    return Change(
        what,
        tuple(chain.from_iterable(reading.hunks for reading in ordered)),
        tuple(chain.from_iterable(reading.skipped for reading in ordered)),
        len(entries),
        {reading.path: reading.text for reading in ordered if reading.text is not None},
        {reading.path: reading.secrets for reading in ordered if reading.secrets},
        tuple(chain.from_iterable(reading.unasked for reading in ordered)),
        tuple(chain.from_iterable(reading.unreached for reading in ordered)),
        f"git could not read all of it: {problems[0].rstrip('.')}." if problems else "",
    )


def _learn(
    redactor: Redactor,
    entry: Entry,
    blobs: Mapping[str, bytes],
    excluded: re.Pattern[str],
    until: float,
) -> None:
    """Learn the secrets of a file, unless time has run out."""
    content = blobs.get(entry.blobs[1])
    is_read = content is not None and not _reason(entry, _shown(entry.path), excluded)
    if content is not None and is_read and time.monotonic() < until:
        redactor.learn(content.decode("utf-8", "replace"))


@dataclass
class _Reading:
    """The reviewable parts of one file, which has `numbers` git hunks."""

    path: str
    hunks: list[Hunk] = field(default_factory=list)
    unasked: list[Hunk] = field(default_factory=list)
    skipped: list[Unreviewed] = field(default_factory=list)
    unreached: list[Unreviewed] = field(default_factory=list)
    text: str | None = None
    secrets: Mapping[int, bool] = field(default_factory=dict)
    numbers: int = 0


def _read(
    reading: _Reading,
    entry: Entry,
    content: bytes | None,
    redactor: Redactor,
    others: Sequence[AddedLines],
    number: int,
) -> None:
    """Fill `reading` from a file whose first hunk has this `number`."""
    parts = _hunks(entry.patch or b"")
    if parts is None:
        reading.skipped.append(Unreviewed(reading.path, "git's diff of it cannot be read"))
        return
    elsewhere = [
        lines for other in others if (lines := other.get(entry.path, frozenset())) is not None
    ]
    mine = [{at for at, _ in part.added()}.intersection(*elsewhere) for part in parts]
    if others and not any(mine):
        reading.skipped.append(Unreviewed(reading.path, "comes from the other branch"))
        return
    text = content.decode("utf-8", "replace") if content is not None else None
    source = _File(reading.path, text, parts, redactor)
    reading.text, reading.secrets = source.text, source.secrets
    for part, added in zip(parts, mine, strict=True):
        if others and not added:
            continue
        reason = _unasked(part)
        if reason:
            reading.skipped.append(Unreviewed(reading.path, reason, 1))
            continue
        hunks, unasked = source.hunks(part, added, number + reading.numbers)
        reading.hunks += hunks
        reading.unasked += unasked
        reading.numbers += bool(hunks)
        if unasked:
            longest = max(len(line) for hunk in unasked for line in hunk.lines)
            reason = f"a line of {longest:,} characters"
            reading.skipped.append(Unreviewed(reading.path, reason, 0 if hunks else 1))


def entries_of(diff: bytes) -> list[Entry]:
    """The files of a diff that is at hand as text alone; raises ValueError where it is none."""
    found = []
    for patch in re.split(
        rb"(?m)^(?=diff --git )" if b"diff --git " in diff else rb"(?m)^(?=--- [^\n]*\n\+\+\+ )",
        diff,
    ):
        head = patch.partition(b"\n@@ ")[0].decode("utf-8", "surrogateescape")
        if not re.match(r"diff --git |--- ", head):
            continue
        modes = {
            side: re.search(rf"(?m)^{side}(?: file)? mode (\d+)$", head)
            for side in ("old", "new", "deleted")
        }
        status = (
            "D"
            if modes["deleted"] or "\n+++ /dev/null" in head
            else "A"
            if "\n--- /dev/null" in head
            else "M"
        )
        status = "R" if "\nrename to " in head else status
        mode = modes["new"][1] if modes["new"] else "100644"
        found.append(
            Entry(
                _path_in(head),
                status,
                (modes["old"][1] if modes["old"] else mode, mode),
                ("", ""),
                patch,
            )
        )
    if not found and diff.strip():
        raise ValueError("no diff")
    return found


def is_cut_off(entry: Entry) -> bool:
    """Whether the diff of a file has hunks that cannot be read to their end."""
    patch = entry.patch or b""
    return b"\n@@ " in patch and _hunks(patch) is None


def added_lines(entries: Iterable[Entry]) -> AddedLines:
    """Return the added lines of a change, by path; None if they are too large or unreadable."""
    lines: dict[str, frozenset[int] | None] = {}
    for entry in entries:
        parts = _hunks(entry.patch) if entry.patch is not None else None
        has_no_text = entry.status in "DU" or (
            entry.patch is not None and b"\n@@ " not in entry.patch
        )
        if parts is not None:
            lines[entry.path] = frozenset(at for part in parts for at, _ in part.added())
        else:
            lines[entry.path] = frozenset() if has_no_text else None
    return lines


def _path_in(head: str) -> str:
    """The path in the head of a file's diff, that after the change."""
    for pattern, read in (
        (r"(?m)^\+\+\+ (?!/dev/null)(.+)$", named_path),
        (r"(?m)^rename to (.+)$", unquoted),
        (r"(?m)^--- (?!/dev/null)(.+)$", named_path),
    ):
        if match := re.search(pattern, head):
            return read(match[1])
    match = re.match(r"diff --git (.+)$", head.partition("\n")[0])
    return named_path(match[1][(len(match[1]) + 1) // 2 :].strip()) if match else "?"


def _shown(path: str) -> str:
    """A path as it can be written anywhere."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _any_of(globs: Sequence[str]) -> re.Pattern[str]:
    """Return what matches a path that one of `globs` means, from the top or from any folder."""
    wanted = [name for glob in globs for name in (glob, f"*/{glob}")]
    return re.compile(
        "|".join(fnmatch.translate(os.path.normcase(name)) for name in wanted) or "(?!)"
    )


def _reason(entry: Entry, path: str, excluded: re.Pattern[str]) -> str:
    """Why nothing of a file is reviewed; empty where it has hunks."""
    plain = {"D": "deleted", "U": "unmerged"}.get(entry.status)
    if plain:
        return plain
    kind = {_LINK: "a symbolic link", _MODULE: "a submodule"}.get(entry.modes[1])
    if kind:
        return kind
    if excluded.match(os.path.normcase(path)):
        return "excluded"
    if path.endswith(".ipynb"):
        return "a notebook"
    if entry.problem:
        return f"git cannot show its change: {entry.problem}"
    if entry.patch is None:
        return "its change is too large"
    if re.search(rb"(?m)^(?:Binary files |GIT binary patch)", entry.patch):
        return "binary"
    if not re.search(rb"(?m)^@@ ", entry.patch):
        if entry.status in "RC":
            return "renamed" if entry.status == "R" else "copied"
        return (
            "only its mode changes"
            if entry.modes[0] != entry.modes[1] and entry.status == "M"
            else "empty"
        )
    return ""


def _hunks(patch: bytes) -> list[_Part] | None:
    """The hunks of one file's diff; None where it cannot be read."""
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    text = re.split(rb"(?m)^(?=diff --git )", patch)[-1].decode("utf-8", "replace")
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
    try:
        # Its parser keeps some control characters for line ends; the head alone has none, and is not needed.
        files = PatchSet(
            lines[next(at for at, line in enumerate(lines) if line.startswith("--- ")) :]
        )
    except (UnidiffParseError, StopIteration):
        return None
    return [
        _Part(
            hunk.source_start,
            hunk.target_start,
            tuple(
                f"{line.line_type}{line.value.rstrip(chr(10)).rstrip(chr(13))}"
                for line in hunk
                if line.line_type != "\\"
            ),
            hunk.section_header.strip(),
        )
        for file in files
        for hunk in file
    ]


def _unasked(part: _Part) -> str:
    """Why nothing can be asked about a hunk; empty where it can."""
    if not any(line.startswith("+") for line in part.lines):
        return "only deletes lines"
    if not any(text.strip() for _, text in part.added()):
        return "only adds blank lines"
    return ""


class _File:
    """A file after the change, without its secrets, and from it the file before."""

    def __init__(
        self, path: str, text: str | None, parts: Sequence[_Part], redactor: Redactor
    ) -> None:
        self._path = path
        self._redactor = redactor
        self.text = text
        self.secrets: dict[int, bool] = {}
        if text is None:
            self._clean_of = {part: self._cleaned(part) for part in parts}
            for before, after in self._clean_of.items():
                self._compare(dict(before.added()), dict(after.added()))
            return
        clean = redactor.redact(text)
        lines, cleaned = _lines(text), _lines(clean)
        self.text = clean
        self._compare(dict(enumerate(lines, 1)), dict(enumerate(cleaned, 1)))
        self._lines = cleaned
        self._definitions = Definitions(path, cleaned, clean)
        self._clean_of = {part: self._cleaned(part) for part in parts}
        self._before = list(self._lines_before())
        self._numbers_before = [at for at, _ in self._before]

    def _compare(self, before: Mapping[int, str], after: Mapping[int, str]) -> None:
        for at, line in before.items():
            if after.get(at) != line:
                made_up = is_test_file(self._path) and is_made_up(line)
                self.secrets[at] = has_token(line) and not made_up

    def _cleaned(self, part: _Part) -> _Part:
        """A hunk without its secrets: as it is in the cleaned file, and what no file at hand has cleaned by itself."""
        before = iter(self._side(part, "+"))
        count = sum(line[:1] != "-" for line in part.lines)
        first = max(part.new - 1, 0)
        after = iter(
            self._side(part, "-") if self.text is None else self._lines[first : first + count]
        )
        lines = []
        for line in part.lines:
            old = next(before, "") if line[:1] != "+" else ""
            new = next(after, "") if line[:1] != "-" else ""
            lines.append(line[:1] + (old if line[:1] == "-" else new))
        return _Part(part.old, part.new, tuple(lines), part.context)

    def _side(self, part: _Part, other: str) -> list[str]:
        """The cleaned lines of one side of a hunk; `other` is the sign of those that the other side has alone."""
        return _lines(
            self._redactor.redact("\n".join(line[1:] for line in part.lines if line[:1] != other))
        )

    def hunks(self, part: _Part, mine: set[int], number: int) -> tuple[list[Hunk], list[Hunk]]:
        """Split a git hunk into hunks to ask about and hunks that are too long to ask about.

        `mine` are the added lines that count.
        """
        asked: list[Hunk] = []
        unasked: list[Hunk] = []
        for by_definition in self._by_definition(self._clean_of[part]):
            for by_length in _beside_long_lines(by_definition):
                if any(len(line) > LONGEST_LINE for line in by_length.lines):
                    unasked += self._hunk(by_length, mine, number, part.new)
                    continue
                for piece in _pieces(by_length):
                    asked += self._hunk(piece, mine, number, part.new)
        return asked, unasked

    def _hunk(self, piece: _Part, mine: set[int], number: int, first: int) -> Iterator[Hunk]:
        """Return the piece of the hunk that starts at line `first`, if it adds lines that count."""
        written = [at for at, text in piece.added() if at in mine and text.strip()]
        if not written:
            return
        if self.text is None:
            name = _name_in(piece.context)
            yield Hunk(self._path, piece.lines, piece.old, piece.new, tuple(written), number, name)
            return
        found = self._definitions.around(written[0], piece.context, first)
        own = piece if found is None else _within(piece, found)
        base = self._base(own, found, written)
        name = found.name if found else ""
        yield Hunk(self._path, own.lines, own.old, own.new, tuple(written), number, name, base)

    def _by_definition(self, part: _Part) -> Iterator[_Part]:
        """A hunk cut between two definitions that it changes; what it adds in one piece stays in one."""
        if self.text is None:
            yield part
            return
        cuts: list[int] = []
        previous: Definition | None = None
        is_first = True
        shown_at = [index for index, line in enumerate(part.lines) if not line.startswith("-")]
        at, kept = part.new, 0
        for index, line in enumerate(part.lines):
            if not line.startswith("+"):
                kept = index + 1
            elif line[1:].strip():
                found = self._definitions.around(at, part.context, part.new)
                if not is_first and kept > (cuts[-1] if cuts else 0) and _apart(previous, found):
                    # The next one begins where its first line is shown, or else with this line.
                    first = at
                    if found:
                        first = found.first
                    elif previous:
                        first = previous.last + 1
                    after = max(first - part.new, 0)
                    cuts.append(
                        min(index, shown_at[after] if after < len(shown_at) else len(part.lines))
                    )
                previous, is_first = found, False
            at += not line.startswith("-")
        yield from _cut(part, cuts)

    def _base(self, piece: _Part, found: Definition | None, written: Sequence[int]) -> str:
        """The definition around a part, or what stands near it, as it was before the change."""
        last = piece.new + sum(not text.startswith("-") for text in piece.lines)
        first, end = max(1, piece.new - AROUND), min(len(self._lines), last + AROUND)
        if found is not None:
            first, end = max(first, found.first), min(end, max(found.last, written[-1]))
        low = bisect_left(self._numbers_before, first)
        high = bisect_right(self._numbers_before, end)
        size = sum(len(self._before[index][1]) + 1 for index in range(low, high))
        # The nearest lines stay where not all fit.
        while size > BASE and high - low > 1:
            begin_is_far = abs(self._before[low][0] - written[0]) > abs(
                self._before[high - 1][0] - written[0]
            )
            dropped = low if begin_is_far else high - 1
            size -= len(self._before[dropped][1]) + 1
            low, high = (low + 1, high) if begin_is_far else (low, high - 1)
        before = self._before[low:high]
        head = ""
        if found is not None and before and before[0][0] > found.first:
            head = self._lines[found.first - 1] + "\n"
        text = head + "\n".join(text for _, text in before)
        return text if before and len(text) <= BASE + 200 else ""

    def _lines_before(self) -> Iterator[tuple[int, str]]:
        """The lines of the file before the change, each with the number of the line that is there now."""
        at = 1
        for part in self._clean_of.values():
            for number in range(at, min(part.new, len(self._lines) + 1)):
                yield number, self._lines[number - 1]
            at = part.new
            for line in part.lines:
                if not line.startswith("+"):
                    yield at, line[1:]
                at += not line.startswith("-")
        for number in range(at, len(self._lines) + 1):
            yield number, self._lines[number - 1]


def _lines(text: str) -> list[str]:
    """The lines as git counts them, without their ends."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _name_in(context: str) -> str:
    return context.rstrip("{:( ")[:80]


def _apart(one: Definition | None, other: Definition | None) -> bool:
    """Whether neither of two definitions is in the other; None is the top level."""
    if one is None or other is None:
        return one is not other
    return one.last < other.first or other.last < one.first


def _within(part: _Part, found: Definition) -> _Part:
    """A part without the unchanged lines at its ends that are no part of the definition: those move apart from it."""
    first, end, at, ats = 0, len(part.lines), part.new, []
    for line in part.lines:
        ats.append(at)
        at += not line.startswith("-")
    while first < end and part.lines[first].startswith(" ") and ats[first] < found.first:
        first += 1
    while end > first and part.lines[end - 1].startswith(" ") and ats[end - 1] > found.last:
        end -= 1
    return _Part(part.old + first, part.new + first, part.lines[first:end], part.context)


def _cut(part: _Part, cuts: Sequence[int]) -> Iterator[_Part]:
    """A hunk in parts that begin at the indices `cuts` of its lines."""
    old, new, done = part.old, part.new, 0
    for end in (*(cut for cut in cuts if cut > 0), len(part.lines)):
        lines = part.lines[done:end]
        if lines:
            yield _Part(old, new, lines, part.context)
        old += sum(not line.startswith("+") for line in lines)
        new += sum(not line.startswith("-") for line in lines)
        done = max(done, end)


def _beside_long_lines(part: _Part) -> Iterator[_Part]:
    """Split a hunk before and after each line that is too long to ask about."""
    cuts = []
    for index, line in enumerate(part.lines):
        if len(line) > LONGEST_LINE:
            cuts += [index, index + 1]
    yield from _cut(part, cuts)


def _pieces(part: _Part) -> Iterator[_Part]:
    """A hunk in parts of at most PART characters, cut where something new begins."""
    cuts: list[int] = []
    first, size = 0, 0
    for at, line in enumerate(part.lines):
        size += len(line) + 1
        if size > PART and at > first:
            fits = range(first + max(1, (at - first) // 3), at + 1)
            first = max(fits, key=lambda index: (_boundary(part.lines, index), index))
            cuts.append(first)
            size = sum(len(text) + 1 for text in part.lines[first : at + 1])
    yield from _cut(part, cuts)


def _boundary(lines: Sequence[str], at: int) -> int:
    """How good it is to cut before a line: best before what begins at the left margin, behind a blank line."""
    text, before = lines[at][1:], lines[at - 1][1:]
    after_blank = not before.strip() and bool(text.strip())
    return 2 if after_blank and not text[:1].isspace() else 1 if after_blank else 0
