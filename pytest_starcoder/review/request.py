"""The request that a user makes for a review, and the input that is selected for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_starcoder.model.cache import Cache
    from pytest_starcoder.review.change import Change
    from pytest_starcoder.review.finding import Finding
    from pytest_starcoder.review.store import ReviewStore
    from pytest_starcoder.settings import Settings


class ReviewRequest(NamedTuple):
    """The settings from the command line, by key, and the change to review.

    Without a range (`from_ref`, `to_ref`) and without a `diff` that is the staged change.
    """

    options: Mapping[str, str] = {}
    from_ref: str = ""
    to_ref: str = ""
    diff: bytes | None = None


@dataclass(frozen=True)
class ReviewInput:
    """A change, the settings in force for it, and the `observed` findings in it.

    `accepted` are the fingerprints of the baseline. `git_folder` is None for a diff from
    standard input.
    """

    change: Change
    settings: Settings
    observed: tuple[Finding, ...] = ()
    accepted: frozenset[str] = frozenset()
    repository_name: str = ""
    git_folder: Path | None = None

    @property
    def store(self) -> ReviewStore | None:
        from pytest_starcoder.review.store import ReviewStore

        return ReviewStore(self.git_folder) if self.git_folder else None

    @property
    def cache(self) -> Cache:
        from pytest_starcoder.model.cache import Cache

        return self.store.cache(self.settings) if self.store else Cache(None)
