"""Chooses what the working tree is compared with, and reads the differences."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.culprit.pieces import ChangedText, Kind
from pytest_starcoder.explain.breakage import BrokenBy
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.comparison import ChangedFile, Comparer, Comparison
from pytest_starcoder.source.git.history import BASE_BRANCHES
from pytest_starcoder.source.project import Project

MAX_CHANGED_LINES = 2_000
"""Maximum number of changed lines that are undone piece by piece."""

MAX_COMMITS = 50
"""Maximum number of commits between HEAD and the one at which a test last passed."""


@dataclass(frozen=True)
class Changes:
    """What differs from one state of the repository.

    `since` names that state in a sentence, and `commit` is its hash. `left_out` are phrases on
    changes that cannot be undone.
    """

    since: str
    files: tuple[ChangedText, ...]
    left_out: tuple[str, ...] = ()
    commit: str = ""

    @property
    def total(self) -> int:
        """The number of pieces, without those of data files, which are seldom read by tests."""
        return sum(len(file.pieces) for file in self.files if file.kind != "data")

    @property
    def file_count(self) -> int:
        """The number of files with these pieces."""
        return len({file.path for file in self.files if file.kind != "data"})


class Repositories:
    """The repositories that hold the project's files."""

    def __init__(
        self, project: Project, conventions: Conventions, started: float = math.inf
    ) -> None:
        """`started` is when the tests began, in seconds since the epoch: they may write files."""
        self._project = project
        self._started = started
        self._conventions = conventions
        self._comparer = Comparer(project.repository)

    def comparisons(self, since: str = "", passed: Collection[str] = ()) -> Iterator[Changes]:
        """Yield the changes since the last commit, then since older states, if there are any.

        `passed` are commits at which failing tests have passed. With `since`, the name of a
        commit, yield only the changes since then.
        """
        if since:
            yield self._with_worktree(self._comparer.commit(since), since)
            return
        head = self._comparer.commit("HEAD")
        if not head:
            return
        yield self._with_worktree(head, "the last commit")
        last_passed = self._newest(passed)
        if last_passed and last_passed != head:
            yield self._with_worktree(last_passed, f"{last_passed[:7]}, where it last passed")
        base, name = self._base(head)
        if base and base != last_passed:
            yield self._with_worktree(base, name)

    def commit_of(self, changes: Changes, piece: BrokenBy) -> str:
        """Return the commit that made a piece, with its subject; empty if it is not committed."""
        if changes.commit == self._comparer.commit("HEAD"):
            return ""
        file = self._project.file(piece.path)
        return self._comparer.last_change(changes.commit, file, piece.line, piece.last)

    @property
    def is_shallow(self) -> bool:
        """Whether the clone may lack the commit to compare with."""
        return self._comparer.is_shallow()

    def _newest(self, commits: Collection[str]) -> str:
        """Return the nearest commit before HEAD; empty if all are too far away."""
        distances = {}
        for commit in set(commits):
            distance = len(self._comparer.commits_since(commit))
            if 0 < distance <= MAX_COMMITS:
                distances[commit] = distance
        return min(distances, key=distances.__getitem__, default="")

    def _base(self, head: str) -> tuple[str, str]:
        """Return the commit that the current branch started from and its name, or two blanks."""
        # What CI checks out of a pull request is its merge with the target branch.
        if self._comparer.commit("HEAD^2"):
            return self._comparer.commit("HEAD^1"), "the target branch"
        for branch in BASE_BRANCHES:
            base = self._comparer.merge_base(branch)
            if base == head:
                return "", ""
            if base:
                return base, branch
        return "", ""

    def _with_worktree(self, commit: str, since: str) -> Changes:
        comparison = self._comparer.with_worktree(commit)
        return self._changes(comparison, since, commit)

    def _changes(self, comparison: Comparison, since: str, commit: str) -> Changes:
        left_out = list(comparison.left_out)
        files: list[ChangedText] = []
        changed_lines = 0
        for file in comparison.files:
            if _modified(file.path) >= self._started:
                left_out.append(f"{self._project.path_of(str(file.path))} (written by this run)")
                continue
            text = self._changed_text(file)
            size = sum(piece.size for piece in text.pieces)
            if not size:
                continue
            changed_lines += size
            if changed_lines > MAX_CHANGED_LINES:
                left_out.append(f"{text.path} (beyond {MAX_CHANGED_LINES} changed lines)")
                continue
            files.append(text)
        return Changes(since, tuple(files), tuple(left_out), commit)

    def _changed_text(self, file: ChangedFile) -> ChangedText:
        path = self._project.path_of(str(file.path))
        kind = self._kind(path, file)
        return ChangedText.of(path, kind, file.old, file.new).without_layout()

    def _kind(self, path: str, file: ChangedFile) -> Kind:
        if not path.endswith(".py"):
            return "data"
        conventions = self._conventions
        is_test = path in conventions.files or conventions.is_test_path(path)
        return "test" if is_test else "code"


def _modified(file: Path) -> float:
    """Return when a file was last modified, in seconds since the epoch; 0 for a missing one."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
