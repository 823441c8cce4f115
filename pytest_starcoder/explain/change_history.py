"""Looks up in git how recently lines were changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from pytest_starcoder.explain.line_features import Line
from pytest_starcoder.source.git.history import History, LineOrigin
from pytest_starcoder.text.display import counted

HOUR = 3_600.0
DAY = 24 * HOUR

REPORTED_AGE = 14 * DAY
"""Maximum age, in seconds, of a commit that is reported."""

MAX_AGE = 90 * DAY
"""Maximum age, in seconds, of a commit that breaks ties."""

MAX_BLAMED = 3
"""Maximum number of files per cause for which git blame runs: it is slow."""

MAX_LISTED = 4
"""Maximum number of changed lines in a sentence."""

Changed = Mapping[str, Collection[int]]
"""Changed lines by file."""


class ChangeHistory:
    """The changes of a project; results of git are cached."""

    def __init__(self, history: History, now: Callable[[], float] = time.time) -> None:
        self._history = history
        self._now = now
        self._changed: Changed | None = None
        self._branch = ""
        self._changed_on_branch: Changed = {}
        self._origins: dict[str, dict[int, LineOrigin]] = {}

    def recency(self, paths: Sequence[str]) -> dict[Line, float]:
        """Return the recency of lines: 1 if uncommitted, 0.5 if changed on this branch.

        Older lines of the first few `paths` have up to 0.25, the younger the more.
        """
        uncommitted = self._uncommitted()
        recency: dict[Line, float] = {}
        for path in paths[:MAX_BLAMED]:
            for number, origin in self._blame(path).items():
                age = self._now() - origin.time
                youth = max(0.0, 1 - age / MAX_AGE)
                recency[path, number] = 0.25 * youth
        # From old to new: an uncommitted line was also changed on the branch.
        for changed, value in ((self._changed_on_branch, 0.5), (uncommitted, 1.0)):
            for path in paths:
                for number in changed.get(path, ()):
                    recency[path, number] = value
        return recency

    def is_changed(self, path: str) -> bool:
        """Return whether a file differs from its committed version."""
        return path in self._uncommitted()

    def describe(self, line: Line) -> str:
        """Return a phrase on a line's last change; empty if it was long ago."""
        path, number = line
        if number in self._uncommitted().get(path, ()):
            return "changed since the last commit"
        if number in self._changed_on_branch.get(path, ()):
            return f"changed since {self._branch}"
        origins = self._blame(path)
        origin = origins.get(number)
        if origin is None:
            return ""
        # The age says nothing where the whole file came with one commit.
        if len({each.commit for each in origins.values()}) == 1:
            return ""
        age = self._now() - origin.time
        if age >= REPORTED_AGE:
            return ""
        return f"changed {_describe_age(age)}, {origin.commit}"

    def changed_lines(self, executed: Collection[Line]) -> tuple[str, ...]:
        """Return a sentence on executed lines that are uncommitted, or else new on the branch."""
        uncommitted = self._uncommitted()
        bases = (("the last commit", uncommitted), (self._branch, self._changed_on_branch))
        for base, changed in bases:
            lines = []
            for path, number in sorted(executed):
                if number in changed.get(path, ()):
                    lines.append(f"{path}:{number}")
            if lines:
                listing = ", ".join(lines[:MAX_LISTED])
                more = len(lines) - MAX_LISTED
                suffix = f" and {more} more" if more > 0 else ""
                return (f"changed since {base} and executed: {listing}{suffix}",)
        return ()

    def _blame(self, path: str) -> dict[int, LineOrigin]:
        if path not in self._origins:
            self._origins[path] = self._history.blame(path)
        return self._origins[path]

    def _uncommitted(self) -> Changed:
        if self._changed is None:
            self._changed = self._history.changed_lines()
            self._branch, self._changed_on_branch = self._history.changed_since_base()
        return self._changed


def _describe_age(seconds: float) -> str:
    if seconds < HOUR:
        minutes = max(1, int(seconds // 60))
        return f"{counted(minutes, 'minute')} ago"
    if seconds < DAY:
        return f"{counted(int(seconds // HOUR), 'hour')} ago"
    return f"{counted(int(seconds // DAY), 'day')} ago"
