"""What is kept of reviews under the git directory: answers, the last report, and how far one in the background is.

Nothing of it is in the working tree, so git's status and a hook's checks do not see it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from pytest_starcoder.cache import Cache
from pytest_starcoder.settings import Settings, cache_folder
from pytest_starcoder.values.review import Review

SILENCE = 150.0
"""Seconds after which a review in the background that has said nothing is taken for dead."""


class Kept:
    """The folder `starcoder` in a git directory; where it cannot be written nothing is kept, and no error is raised."""

    def __init__(self, git_folder: Path) -> None:
        self.folder = git_folder / "starcoder"

    def cache(self, settings: Settings) -> Cache:
        """Where answers are remembered: here, unless the setting says another place, or none."""
        if settings.cache == "off":
            return Cache(None)
        return Cache(self.folder if settings.cache == "on" else cache_folder(settings))

    # --- the last report ---

    def keep(self, review: Review, name: str = "last") -> None:
        """Keeps a report under a name: last, or background."""
        from pytest_starcoder.report.files import save
        from pytest_starcoder.report.findings import to_text
        from pytest_starcoder.report.record import review_to_json

        with contextlib.suppress(OSError):
            save(self.folder / f"{name}.json", review_to_json(review))
            save(self.folder / f"{name}.txt", to_text(review))

    def text(self, name: str = "last", form: str = "text") -> str | None:
        """The report that was kept under a name, as text or json; None where there is none."""
        with contextlib.suppress(OSError):
            return (self.folder / f"{name}{'.txt' if form == 'text' else '.json'}").read_text("utf-8")
        return None

    def record(self, name: str = "last") -> dict[str, Any] | None:
        """The JSON of the report that was kept under a name."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
            return found if isinstance(found, dict) else None
        return None

    def take(self, name: str) -> dict[str, Any] | None:
        """The JSON of a report, which is then no news any more."""
        found = self.record(name)
        if found is None:
            return None
        with contextlib.suppress(OSError):
            for suffix in (".json", ".txt"):
                (self.folder / f"{name}{suffix}").replace(self.folder / f"{name}-seen{suffix}")
        return found

    # --- a review in the background ---

    def say_running(self, commit: str, total: int, done: int) -> None:
        """Tells others how far the review in the background is."""
        state = {"pid": os.getpid(), "commit": commit, "done": done, "total": total, "at": time.time()}
        from pytest_starcoder.report.files import save

        with contextlib.suppress(OSError):
            save(self.folder / "running.json", json.dumps(state))

    def say_ended(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / "running.json").unlink()

    def running(self) -> dict[str, Any] | None:
        """How far the review in the background is: pid, commit, done, total; None where none is running."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((self.folder / "running.json").read_text("utf-8"))
            if time.time() - state["at"] < SILENCE and _lives(state["pid"]):
                return dict(state)
        return None


def _lives(pid: int) -> bool:
    if os.name == "nt":
        return True  # there is no asking without harm; its silence tells
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
