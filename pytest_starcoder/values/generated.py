"""What generating tests has come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_starcoder.values.draft import Draft, Target
from pytest_starcoder.values.fix import Edit


@dataclass(frozen=True)
class Kept:
    """A draft that earned its place: the mutants that it alone kills, and the lines that it alone runs."""

    draft: Draft
    kills: tuple[Edit, ...] = ()
    lines: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Rejected:
    """A draft that did not, and why: "fails", "leaves something behind", "adds nothing", …"""

    draft: Draft
    reason: str


@dataclass(frozen=True)
class Tally:
    """Of one target: its mutants and lines, and how many of them tests kill and run, before and after."""

    target: Target
    mutants: int
    killed_before: int
    killed: int
    lines: int
    covered_before: int
    covered: int


@dataclass(frozen=True)
class Generated:
    """What was kept, what was not and why, and what the suite is worth before and after.

    `suspected` are drafts that a docstring promises and the code breaks. `level`
    is the confinement in force, `note` says why nothing was generated at all,
    `remark` why no model was asked, or no further.
    """

    kept: tuple[Kept, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    suspected: tuple[Rejected, ...] = ()
    tallies: tuple[Tally, ...] = ()
    tried: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    level: str = ""
    note: str = ""
    remark: str = ""
