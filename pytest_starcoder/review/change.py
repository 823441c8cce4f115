"""The change under review: its hunks, and what is not reviewed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

TIME_LIMIT_REACHED = "The time limit was reached."
"""Reason for hunks that were not reviewed within `review_time_budget`."""


def number_lines(lines: Iterable[str], first: int) -> Iterator[tuple[int, str]]:
    """Yield each diff line with its number in the file after the change.

    `first` is the number of the first line. A removed line has the number of the next one.
    """
    number = first
    for line in lines:
        yield number, line
        number += not line.startswith("-")


@dataclass(frozen=True)
class Hunk:
    """A part of a change that a model is asked about at once: a git hunk or a part of one.

    `lines` have the signs of a diff and no line ends; the first is line `old` of the file
    before and `new` of the file after the change, 1-based. `added` are the numbers of the
    added lines to review. `number` counts git's hunks of the whole change from 0.
    `definition` names the function or class around the hunk, empty at the top level;
    `base` is the code around it before the change.
    """

    path: str
    lines: tuple[str, ...]
    old: int
    new: int
    added: tuple[int, ...]
    number: int
    definition: str = ""
    base: str = ""

    @property
    def header(self) -> str:
        """The `@@` line."""
        # Counted, because a part of a git hunk has its own.
        before = sum(not line.startswith("+") for line in self.lines)
        after = sum(not line.startswith("-") for line in self.lines)
        ranges = f"-{self.old},{before} +{self.new},{after}"
        return f"@@ {ranges} @@ {self.definition}".rstrip()

    @property
    def text(self) -> str:
        return "\n".join((self.header, *self.lines))

    def line(self, number: int) -> str:
        """Return a line of the file after the change; empty if the hunk does not show it."""
        for at, line in self.numbered():
            if at == number and not line.startswith("-"):
                return line[1:]
        return ""

    def numbered(self) -> Iterator[tuple[int, str]]:
        return number_lines(self.lines, self.new)


@dataclass(frozen=True)
class Unreviewed:
    """A file, or some `hunks` of it, that no model has seen, and the reason.

    `is_missed` if a model should have seen them.
    """

    path: str
    reason: str
    hunks: int = 0
    is_missed: bool = False


@dataclass(frozen=True)
class Change:
    """The hunks to ask a model about, and what is not reviewed, with the reasons.

    `description` ends a sentence: "what is staged". `files` counts all files of the change.
    `texts` are the files after the change, by path, as far as they are known. `secrets` are
    the numbers of the lines from which a secret was redacted, and whether it has the form of
    a service's token; the rest of the change contains no secrets. `unasked` are hunks that
    no model is asked about (`unreviewed` names them): rules still check them. `git_error`
    says why git could not read some of the change.
    """

    description: str
    hunks: tuple[Hunk, ...] = ()
    unreviewed: tuple[Unreviewed, ...] = ()
    files: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    unasked: tuple[Hunk, ...] = ()
    git_error: str = ""

    @property
    def total(self) -> int:
        """The number of git's hunks."""
        # The parts of a git hunk share its number.
        unreviewed = sum(entry.hunks for entry in self.unreviewed)
        return len({hunk.number for hunk in self.hunks}) + unreviewed
