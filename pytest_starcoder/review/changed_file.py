"""One changed file without its secrets, and the hunks of it to ask a model about."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence

from pytest_starcoder.redaction.redactor import Redactor, has_token
from pytest_starcoder.review.change import Hunk
from pytest_starcoder.review.file_patch import PatchHunk
from pytest_starcoder.review.hunk_cuts import (
    MAX_LINE,
    cut_by_length,
    cut_hunk,
    isolate_long_lines,
    trim_to_definition,
)
from pytest_starcoder.review.line_rules import is_dummy_secret, is_test_file
from pytest_starcoder.source.definitions import Definition, Definitions

MAX_BASE = 1000
"""Characters of the code before the change that a prompt shows."""

MAX_HEAD = 200
"""More characters for the first line of the definition, if the code begins inside it."""

AROUND = 32
"""Lines to show before and after a change, as in StarCoder2's training (arXiv:2402.19173, 5.2)."""


class ChangedFile:
    """A file after the change; `text` is None if only its hunks are known.

    `secrets` are the numbers of the redacted lines, and whether each has a service's token.
    """

    def __init__(
        self, path: str, text: str | None, hunks: Sequence[PatchHunk], redactor: Redactor
    ) -> None:
        self._path = path
        self._redactor = redactor
        self.text = None if text is None else redactor.redact(text)
        self.secrets: dict[int, bool] = {}
        if text is None or self.text is None:
            self._redacted = {hunk: self._redact(hunk) for hunk in hunks}
            for before, after in self._redacted.items():
                self._find_secrets(dict(before.added()), dict(after.added()))
            return
        self._lines = _split(self.text)
        numbered_before = dict(enumerate(_split(text), 1))
        self._find_secrets(numbered_before, dict(enumerate(self._lines, 1)))
        # One syntax tree for all hunks, so that work grows with the lines of a file only.
        self._definitions = Definitions(path, self._lines, self.text)
        self._redacted = {hunk: self._redact(hunk) for hunk in hunks}
        self._before = list(self._lines_before())
        # Sorted, so that each hunk finds its neighbourhood by bisection.
        self._numbers_before = [number for number, _ in self._before]

    def split(
        self, hunk: PatchHunk, counted: set[int], number: int
    ) -> tuple[list[Hunk], list[Hunk]]:
        """Split a git hunk into hunks to ask about, and hunks whose lines are too long for that.

        `counted` are the added lines to review, `number` that of the git hunk.
        """
        hunks: list[Hunk] = []
        unasked: list[Hunk] = []
        for by_definition in self._cut_by_definition(self._redacted[hunk]):
            for part in isolate_long_lines(by_definition):
                if any(len(line) > MAX_LINE for line in part.lines):
                    unasked += self._hunk(part, counted, number, hunk.new)
                    continue
                for short_part in cut_by_length(part):
                    hunks += self._hunk(short_part, counted, number, hunk.new)
        return hunks, unasked

    # --- secrets ---

    def _find_secrets(self, before: Mapping[int, str], after: Mapping[int, str]) -> None:
        for number, line in before.items():
            if after.get(number) != line:
                is_dummy = is_test_file(self._path) and is_dummy_secret(line)
                self.secrets[number] = has_token(line) and not is_dummy

    def _redact(self, hunk: PatchHunk) -> PatchHunk:
        """Return a hunk without secrets.

        Each side is redacted as one text, since a secret may span lines. The side after the
        change comes from the redacted file if there is one.
        """
        before = iter(self._redact_side(hunk, "+"))
        if self.text is None:
            after = iter(self._redact_side(hunk, "-"))
        else:
            first = max(hunk.new - 1, 0)
            after = iter(self._lines[first : first + _count_after(hunk)])
        lines = []
        for line in hunk.lines:
            sign = line[:1]
            old = next(before, "") if sign != "+" else ""
            new = next(after, "") if sign != "-" else ""
            lines.append(sign + (old if sign == "-" else new))
        return hunk._replace(lines=tuple(lines))

    def _redact_side(self, hunk: PatchHunk, other_sign: str) -> list[str]:
        side = [line[1:] for line in hunk.lines if line[:1] != other_sign]
        return _split(self._redactor.redact("\n".join(side)))

    # --- hunks ---

    def _hunk(self, part: PatchHunk, counted: set[int], number: int, first: int) -> Iterator[Hunk]:
        """Yield the part as a hunk if it adds lines that count; its git hunk begins at `first`."""
        # A blank line is nothing to comment on.
        added = [at for at, text in part.added() if at in counted and text.strip()]
        if not added:
            return
        base = ""
        if self.text is None:
            # Without the file, git's guess at the definition has to do.
            name = part.context.rstrip("{:( ")[:80]
        else:
            definition = self._definitions.around(added[0], part.context, first)
            if definition is not None:
                part = trim_to_definition(part, definition)
            base = self._base(part, definition, added)
            name = definition.name if definition else ""
        yield Hunk(self._path, part.lines, part.old, part.new, tuple(added), number, name, base)

    def _cut_by_definition(self, hunk: PatchHunk) -> Iterator[PatchHunk]:
        """Cut a hunk between the definitions that it changes, but never a run of added lines."""
        if self.text is None:
            yield hunk
            return
        shown = [index for index, line in enumerate(hunk.lines) if not line.startswith("-")]
        shown.append(len(hunk.lines))
        cuts: list[int] = []
        previous: Definition | None = None
        is_first = True
        run_start = 0
        for index, (number, line) in enumerate(hunk.numbered()):
            if not line.startswith("+"):
                run_start = index + 1
            elif line[1:].strip():
                definition = self._definitions.around(number, hunk.context, hunk.new)
                last_cut = cuts[-1] if cuts else 0
                can_cut = not is_first and run_start > last_cut
                if can_cut and _are_disjoint(previous, definition):
                    # The definition may begin before the hunk.
                    offset = max(_first_line(definition, previous, number) - hunk.new, 0)
                    cut = shown[min(offset, len(shown) - 1)]
                    cuts.append(min(index, cut))
                previous, is_first = definition, False
        yield from cut_hunk(hunk, cuts)

    # --- the file before the change ---

    def _base(self, part: PatchHunk, definition: Definition | None, added: Sequence[int]) -> str:
        """Return the code around a part before the change, within its definition if it has one."""
        first = max(1, part.new - AROUND)
        end = part.new + _count_after(part)
        last = min(len(self._lines), end + AROUND)
        if definition is not None:
            first = max(first, definition.first)
            last = min(last, max(definition.last, added[-1]))
        before = self._nearest_lines(first, last, added[0])
        if not before:
            return ""
        text = "\n".join(line for _, line in before)
        # The head of a definition tells its parameters, however far away it is.
        if definition is not None and before[0][0] > definition.first:
            text = f"{self._lines[definition.first - 1]}\n{text}"
        return text if len(text) <= MAX_BASE + MAX_HEAD else ""

    def _nearest_lines(self, first: int, last: int, number: int) -> list[tuple[int, str]]:
        """Return the lines between two numbers, without the farthest if they are too long."""
        low = bisect_left(self._numbers_before, first)
        high = bisect_right(self._numbers_before, last)
        size = sum(len(line) + 1 for _, line in self._before[low:high])
        while size > MAX_BASE and high - low > 1:
            distance_before = abs(self._numbers_before[low] - number)
            distance_after = abs(self._numbers_before[high - 1] - number)
            if distance_before > distance_after:
                size -= len(self._before[low][1]) + 1
                low += 1
            else:
                high -= 1
                size -= len(self._before[high][1]) + 1
        return self._before[low:high]

    def _lines_before(self) -> Iterator[tuple[int, str]]:
        """Yield the lines before the change, each with the number of the line now in its place."""
        next_line = 1
        for hunk in self._redacted.values():
            yield from self._unchanged(next_line, hunk.new)
            for number, line in hunk.numbered():
                if not line.startswith("+"):
                    yield number, line[1:]
            next_line = hunk.new + _count_after(hunk)
        yield from self._unchanged(next_line, len(self._lines) + 1)

    def _unchanged(self, first: int, end: int) -> Iterator[tuple[int, str]]:
        for number in range(first, min(end, len(self._lines) + 1)):
            yield number, self._lines[number - 1]


def _split(text: str) -> list[str]:
    """Return the lines as git counts them, without their ends."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _count_after(hunk: PatchHunk) -> int:
    return sum(not line.startswith("-") for line in hunk.lines)


def _are_disjoint(first: Definition | None, second: Definition | None) -> bool:
    """Return whether neither definition contains the other; None is the top level."""
    if first is None or second is None:
        return first is not second
    return first.last < second.first or second.last < first.first


def _first_line(definition: Definition | None, previous: Definition | None, number: int) -> int:
    """Return where the part around line `number` begins, behind the previous definition."""
    if definition is not None:
        return definition.first
    return number if previous is None else previous.last + 1
