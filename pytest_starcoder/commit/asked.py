"""What a review is asked for, and what was found for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_starcoder.cache import Cache
from pytest_starcoder.commit.kept import Kept
from pytest_starcoder.settings import Settings
from pytest_starcoder.values.review import Change, Finding


@dataclass
class Asked:
    """What is asked for: options of the command line, and what standard input holds where it is a diff."""

    options: Mapping[str, str] = field(default_factory=dict)
    from_ref: str = ""
    to_ref: str = ""
    diff: bytes | None = None
    started: float = field(default_factory=time.monotonic)


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
