"""A change, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pytest_starcoder.report.label import Label

SPENT = "The time for it was used up."
"""Reason for parts that were not reviewed within the time limit of the settings."""


class Severity(IntEnum):
    """How much a finding matters, the least first."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Hunk:
    """A part of a change that is asked about at once: a hunk of git's, or a part of one that is long.

    `lines` have the signs of a diff and no ends; the first of them is line `old` of the
    file before and `new` of the file after, 1-based. `added` are the lines of the
    file after that the change is answerable for. `definition` names the function
    or class around it, empty at the top of a file; `base` is that definition as it
    was before. `number` counts git's hunks of the whole change from 0 on.
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
        """Its `@@` line."""
        before = sum(line[:1] != "+" for line in self.lines)
        after = sum(line[:1] != "-" for line in self.lines)
        return f"@@ -{self.old},{before} +{self.new},{after} @@ {self.definition}".rstrip()

    @property
    def text(self) -> str:
        return "\n".join((self.header, *self.lines))

    def line(self, number: int) -> str:
        """The text of a line of the file after, without its sign."""
        return next(
            (line[1:] for at, line in self.numbered() if at == number and line[:1] != "-"), ""
        )

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Each line with its number in the file after; a line that is taken away has that of the next one."""
        at = self.new
        for line in self.lines:
            yield at, line
            at += line[:1] != "-"


@dataclass(frozen=True)
class Unreviewed:
    """What a model has not looked at, and why: a file, or some hunks of git's in it where `hunks` is not 0."""

    path: str
    reason: str
    hunks: int = 0


@dataclass(frozen=True)
class Change:
    """What is to be reviewed: the hunks, and what of the change is none, with the reason.

    `what` says which change it is, as the end of a sentence: "what is staged".
    `files` counts all that it touches; `texts` are the files after it that have
    hunks, by path, as far as they can be read; `secrets` are the lines from which
    a secret was taken out, and whether it had the shape of a service's token.
    Secrets are nowhere else in it. `unasked` are hunks that no model is asked
    about, and that `skipped` names; rules still check them. `unreached` is what
    there was no time to read. `git_error` is a sentence on why git could not
    read some of it.
    """

    what: str
    hunks: tuple[Hunk, ...] = ()
    skipped: tuple[Unreviewed, ...] = ()
    files: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    unasked: tuple[Hunk, ...] = ()
    unreached: tuple[Unreviewed, ...] = ()
    git_error: str = ""

    @property
    def total(self) -> int:
        """Hunks as git counts them."""
        left_out = (*self.skipped, *self.unreached)
        return len({hunk.number for hunk in self.hunks}) + sum(entry.hunks for entry in left_out)


@dataclass(frozen=True)
class Finding:
    """One remark on one added line (1-based) of a change; `source` is that line.

    `rule` is "comment" for a model's words, which `model` wrote, else the name of
    the construct that was observed; then `guess` is what a model says besides.
    `placed` tells how the line was chosen: "observed" (a construct, or a linter
    points at it), "chosen" by the model, "only" one, or merely the "first" added one.
    """

    path: str
    line: int
    severity: Severity
    message: str
    rule: str = "comment"
    model: str = ""
    guess: str = ""
    source: str = ""
    placed: str = "observed"
    definition: str = ""

    @property
    def label(self) -> Label:
        return Label.GUESSED if self.rule == "comment" else Label.OBSERVED

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits, the same wherever its line stands in its definition and whatever is said of it."""
        import hashlib

        key = "\0".join((self.path, self.definition, self.rule, " ".join(self.source.split())))
        return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:32]


@dataclass(frozen=True)
class Review:
    """What a review of a change has come to.

    Of `total` hunks, as git counts them, a model has looked at `reviewed`;
    `unreviewed` says of everything else why not. `findings` are those that are shown, worst
    first; `more` others were found, `accepted` and `ignored` ones are known and left
    out. `failed`: a finding is as severe as what stops a commit. `away`: why no
    model was asked, as a sentence. `notes` are sentences on what else is to be known.
    `missed` counts the hunks that a model should have looked at and did not.
    `git_error` is a sentence on why git could not read some of the change.
    """

    what: str
    findings: tuple[Finding, ...] = ()
    total: int = 0
    reviewed: int = 0
    files: int = 0
    unreviewed: tuple[Unreviewed, ...] = ()
    more: int = 0
    accepted: int = 0
    ignored: int = 0
    failed: bool = False
    away: str = ""
    model: str = ""
    server: str = ""
    calls: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    missed: int = 0
    git_error: str = ""
