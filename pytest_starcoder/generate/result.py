"""The result of generating tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_starcoder.generate.draft import Draft, Target
from pytest_starcoder.generate.goals import Place
from pytest_starcoder.source.edits.edit import Edit


@dataclass(frozen=True)
class KeptTest:
    """A draft worth keeping, with the mutants and the places of its target's file that no earlier
    test reaches.
    """

    draft: Draft
    kills: tuple[Edit, ...] = ()
    places: frozenset[Place] = frozenset()

    @property
    def lines(self) -> list[int]:
        """The covered lines, sorted."""
        lines = [place.line for place in self.places if place.enters is None]
        return sorted(lines)

    @property
    def branch_lines(self) -> list[int]:
        """The lines of statements of which another branch is taken, sorted."""
        # A statement of which both branches are new counts once.
        lines = {place.line for place in self.places if place.enters is not None}
        return sorted(lines)


@dataclass(frozen=True)
class RejectedDraft:
    """A rejected draft and the reason, such as "fails" or "adds nothing"."""

    draft: Draft
    reason: str


@dataclass(frozen=True)
class Counts:
    """Numbers of mutants, lines and branches."""

    mutants: int = 0
    lines: int = 0
    branches: int = 0

    @property
    def places(self) -> int:
        return self.lines + self.branches

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.mutants + other.mutants,
            self.lines + other.lines,
            self.branches + other.branches,
        )


@dataclass(frozen=True)
class TargetScore:
    """All mutants, lines and branches of a target, and those that tests reach before and after.

    `living` are the mutants that no test kills.
    """

    target: Target
    total: Counts
    before: Counts
    after: Counts
    living: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class ModelUsage:
    """Requests that a model answered (cached answers left out), its tokens, and the seconds."""

    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: ModelUsage) -> ModelUsage:
        return ModelUsage(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class ModelAnswer:
    """The drafts in one answer of a model."""

    drafts: tuple[Draft, ...]
    usage: ModelUsage
    model: str


@dataclass(frozen=True)
class Generated:
    """The tests generated in one run.

    Attributes:
        suspected: Drafts that fail although a docstring or a type hint promises otherwise.
        level: The sandbox in force.
        note: Why nothing was generated at all.
        remark: Why no model was asked, or why it was asked no further.
        fallback: Why another model was asked than the usual one.
        over: What ended the run early.
        model: The model that was asked, if any.
    """

    kept: tuple[KeptTest, ...] = ()
    rejected: tuple[RejectedDraft, ...] = ()
    suspected: tuple[RejectedDraft, ...] = ()
    scores: tuple[TargetScore, ...] = ()
    seconds: float = 0.0
    usage: ModelUsage = field(default_factory=ModelUsage)
    level: str = ""
    note: str = ""
    remark: str = ""
    fallback: str = ""
    over: str = ""
    model: str = ""

    @property
    def drafts(self) -> list[Draft]:
        """All drafts that were judged."""
        judged: tuple[KeptTest | RejectedDraft, ...]
        judged = (*self.kept, *self.rejected, *self.suspected)
        return [result.draft for result in judged]
