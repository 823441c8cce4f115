"""What was found for a review: the change, the settings that count for it, and where things are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.model.cache import Cache
from pytest_starcoder.review.finding import Change, Finding
from pytest_starcoder.review.store import Kept
from pytest_starcoder.settings import Settings


@dataclass(frozen=True)
class Found:
    """What is reviewed, under which settings, and what was observed of it; `folder` is the git directory, if any."""

    change: Change
    settings: Settings
    observed: tuple[Finding, ...] = ()
    accepted: frozenset[str] = frozenset()
    name: str = ""
    folder: Path | None = None

    @property
    def kept(self) -> Kept | None:
        return Kept(self.folder) if self.folder else None

    @property
    def cache(self) -> Cache:
        return self.kept.cache(self.settings) if self.kept else Cache(None)
