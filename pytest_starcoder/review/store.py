"""Stores the last review and cached answers in the git directory, outside the working tree."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from pytest_starcoder.model.cache import Cache
from pytest_starcoder.review.commit_queue import shared_folder
from pytest_starcoder.review.finding import Review
from pytest_starcoder.settings import Settings, cache_folder


class ReviewStore:
    """The folder `starcoder` in a git directory; if it is not writable, nothing is saved."""

    def __init__(self, git_folder: Path) -> None:
        self.folder = git_folder / "starcoder"
        self._shared = Path(shared_folder(str(git_folder))) / "starcoder"

    def cache(self, settings: Settings) -> Cache:
        """Return the cache of answers; all worktrees share it unless a setting names another."""
        if settings.cache == "off":
            return Cache(None)
        return Cache(self._shared if settings.cache == "on" else cache_folder(settings))

    def save(self, review: Review) -> None:
        """Save the last review as text and as JSON."""
        from pytest_starcoder.report.files import write_report
        from pytest_starcoder.review.json_report import review_to_json
        from pytest_starcoder.review.text_report import to_text

        # A read-only git directory must not fail a commit.
        with contextlib.suppress(OSError):
            write_report(self.folder / "last.json", review_to_json(review))
            write_report(self.folder / "last.txt", to_text(review))

    def load(self, suffix: str = "txt") -> str | None:
        """Return the last review as text ("txt") or as JSON ("json"); None if there is none."""
        try:
            return (self.folder / f"last.{suffix}").read_text("utf-8")
        except (OSError, ValueError):
            return None

    def load_record(self) -> dict[str, Any] | None:
        """Return the parsed JSON report of the last review; None if there is none."""
        try:
            record = json.loads(self.load("json") or "")
        except ValueError:
            return None
        return record if isinstance(record, dict) else None
