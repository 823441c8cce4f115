"""What generating tests has come to."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_starcoder.generate.draft import Branch, Draft, Target
from pytest_starcoder.source.edits.edit import Edit


@dataclass(frozen=True)
class Kept:
    """A draft that earned its place: the mutants that it alone kills, the lines and branches that it alone runs.

    Lines and branches are those of its target's file.
    """

    draft: Draft
    kills: tuple[Edit, ...] = ()
    lines: frozenset[int] = frozenset()
    branches: frozenset[Branch] = frozenset()


@dataclass(frozen=True)
class Rejected:
    """A draft that did not, and why: "fails", "leaves global state changed", "adds nothing", …"""

    draft: Draft
    reason: str


@dataclass(frozen=True)
class Tally:
    """Of one target: its mutants, lines and branches, and how many of them tests kill and run, before and after.

    `living` are the mutants that no test kills.
    """

    target: Target
    mutants: int
    killed_before: int
    killed: int
    lines: int
    covered_before: int
    covered: int
    branches: int = 0
    taken_before: int = 0
    taken: int = 0
    living: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Spent:
    """What a model was asked: questions that it answered anew, and the tokens that it wrote for them."""

    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests, self.tokens + other.tokens, self.seconds + other.seconds
        )


@dataclass(frozen=True)
class Answer:
    """The drafts that a model gave for a target, and what they cost."""

    drafts: tuple[Draft, ...]
    spent: Spent
    model: str


@dataclass(frozen=True)
class Generated:
    """What was kept, what was not and why, and what the suite is worth before and after.

    `suspected` are drafts that a docstring or a type hint promises and the code
    breaks. `level` is the confinement in force, `note` says why nothing was
    generated at all, `remark` why no model was asked, or no further, `over` what
    ended it before all was tried. `model` is who wrote, if anybody did.
    """

    kept: tuple[Kept, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    suspected: tuple[Rejected, ...] = ()
    tallies: tuple[Tally, ...] = ()
    seconds: float = 0.0
    spent: Spent = field(default_factory=Spent)
    level: str = ""
    note: str = ""
    remark: str = ""
    over: str = ""
    model: str = ""
