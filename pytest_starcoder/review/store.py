"""Stores reviews under the git directory: cached answers and the last report.

Nothing of it is in the working tree, so git's status and a hook's checks do not see it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from pytest_starcoder.model.cache import Cache
from pytest_starcoder.review.commit_queue import shared_folder
from pytest_starcoder.review.finding import Review
from pytest_starcoder.settings import Settings, cache_folder


class Kept:
    """The folder `starcoder` in a git directory; where it cannot be written nothing is kept, and no error is raised."""

    def __init__(self, git_folder: Path) -> None:
        self.folder = git_folder / "starcoder"
        self._shared = Path(shared_folder(str(git_folder))) / "starcoder"

    def cache(self, settings: Settings) -> Cache:
        """Return the cache of answers, shared by all worktrees unless a setting says otherwise."""
        if settings.cache == "off":
            return Cache(None)
        return Cache(self._shared if settings.cache == "on" else cache_folder(settings))

    def keep(self, review: Review, name: str = "last") -> None:
        """Save a report under a name."""
        from pytest_starcoder.explain.json_report import review_to_json
        from pytest_starcoder.explain.report_files import save
        from pytest_starcoder.review.text_report import to_text

        with contextlib.suppress(OSError):
            save(self.folder / f"{name}.json", review_to_json(review))
            save(self.folder / f"{name}.txt", to_text(review))

    def text(self, name: str = "last", form: str = "text") -> str | None:
        """The report that was kept under a name, as text or json; None where there is none."""
        with contextlib.suppress(OSError):
            return (self.folder / f"{name}{'.txt' if form == 'text' else '.json'}").read_text(
                "utf-8"
            )
        return None

    def record(self, name: str = "last") -> dict[str, Any] | None:
        """The JSON of the report that was kept under a name."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
            return found if isinstance(found, dict) else None
        return None
