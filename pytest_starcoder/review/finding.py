"""The result of a review: findings on added lines, and how much was reviewed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pytest_starcoder.report.label import Label
from pytest_starcoder.review.change import Unreviewed


class Severity(IntEnum):
    """The severity of a finding, lowest first."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()

    def reaches(self, threshold: str) -> bool:
        """Return whether it is at least the severity `threshold`, such as "error" or "never"."""
        member = Severity.__members__.get(threshold.upper())
        return member is not None and self >= member


@dataclass(frozen=True)
class Finding:
    """A comment on one added line (1-based) of a change; `source` is that line.

    `rule` is "comment" for a comment that `model` wrote, otherwise the name of the rule that
    found it; then `guess` is the model's comment on the same line. `placed` tells how the line
    was chosen: "observed" (a rule or a linter reports it), "chosen" by the model, the "only"
    added line, or just the "first" one.
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
    def author(self) -> str:
        """The model, or "observed" for a rule."""
        return self.model if self.label is Label.GUESSED else "observed"

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that depend neither on the line number nor on the message."""
        import hashlib

        source = " ".join(self.source.split())  # re-indenting a line does not change it
        key = "\0".join((self.path, self.definition, self.rule, source))
        digest = hashlib.sha256(key.encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Review:
    """The result of reviewing a change.

    A model has seen `reviewed` of `total` git hunks; `unreviewed` has the reasons for all
    others. `findings` are shown, worst first; `more` others are not; `accepted` and `ignored`
    ones are only counted. `failed`: a finding is severe enough to stop a commit. `away`,
    `git_error` and `notes` are sentences: why no model was asked, why git could not read some
    of the change, and other remarks.
    """

    description: str
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
    git_error: str = ""

    @property
    def has_missed(self) -> bool:
        """Tell whether a model has missed some hunk that it should have seen."""
        return any(entry.is_missed for entry in self.unreviewed)
