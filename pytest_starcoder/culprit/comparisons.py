"""Chooses what the working tree is compared with, and reads the differences."""

from __future__ import annotations

import contextlib
import math
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.culprit.bench import OutOfTime
from pytest_starcoder.culprit.ci_base import ci_bases
from pytest_starcoder.culprit.commits import Passes, Region, Step, choose, steps_of
from pytest_starcoder.culprit.pieces import ChangedText, Kind
from pytest_starcoder.explain.breakage import BrokenBy
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.comparison import ChangedFile, Comparer, Comparison
from pytest_starcoder.source.git.file_changes import FileChanges
from pytest_starcoder.source.git.history import BASE_BRANCHES
from pytest_starcoder.source.project import Project

MAX_CHANGED_LINES = 2_000
"""Maximum number of changed lines that are undone piece by piece."""

MAX_COMMITS = 50
"""Maximum number of commits between HEAD and the one at which a test last passed."""

MAX_PASSED = 3
"""Maximum number of commits to compare with because tests passed there."""

KINDS: tuple[Kind, ...] = ("code", "test", "data")
"""Kinds of files; the first ones are kept if there are too many changed lines."""


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
        """The number of pieces, except in data files, which tests seldom read."""
        return sum(len(file.pieces) for file in self.files if file.kind != "data")

    @property
    def file_count(self) -> int:
        """The number of files with these pieces."""
        return len({file.path for file in self.files if file.kind != "data"})


class Repositories:
    """The repositories that hold the project's files."""

    def __init__(
        self,
        project: Project,
        conventions: Conventions,
        started: float = math.inf,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`started` is when the tests began, in seconds since the epoch: they may write files."""
        self._project = project
        self._started = started
        self._conventions = conventions
        self._environment = environment
        self._comparer = Comparer(project.repository)
        self._history = FileChanges(project.repository)

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
        compared = {head, ""}
        for commit, name in self._wider(head, passed):
            if commit not in compared:
                compared.add(commit)
                yield self._with_worktree(commit, name)

    def commit_of(self, changes: Changes, piece: BrokenBy, passes: Passes | None = None) -> str:
        """Return the commit that made a piece, with its subject; empty if it is not committed.

        If several commits changed its lines, `passes` decides; without it, the last one counts.
        """
        if changes.commit == self._comparer.commit("HEAD"):
            return ""
        steps = self._steps(changes, piece)
        if not steps:
            return ""
        step = steps[0]
        if passes is not None:
            with contextlib.suppress(OutOfTime):
                step = choose(steps, passes)
        return self._history.subject(step.commit) if step.commit else ""

    def _steps(self, changes: Changes, piece: BrokenBy) -> list[Step]:
        history = self._history.since(changes.commit, self._project.file(piece.path))
        removed = piece.removed
        region = Region(piece.line - 1, piece.last)
        steps = steps_of(history, self._kind(piece.path), region, removed)
        if steps or not history:
            return steps
        return [Step(history[0].commit, tuple(removed))]

    @property
    def exist(self) -> bool:
        """True if there is a commit to compare with."""
        return bool(self._comparer.commit("HEAD"))

    @property
    def is_shallow(self) -> bool:
        """True if the clone may lack the commit to compare with."""
        return self._comparer.is_shallow()

    def _wider(self, head: str, passed: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield earlier commits and their names in a sentence, the fewest changes first."""
        nearest = self._nearest(passed)
        for commit in nearest:
            subject = "it" if len(nearest) == 1 else "tests"
            yield commit, f"{commit[:7]}, where {subject} last passed"
        # What CI checks out of a pull request is its merge with the target branch.
        if self._comparer.commit("HEAD^2"):
            is_detached = self._comparer.is_detached()
            name = "the target branch" if is_detached else "the commit before the merge"
            yield self._comparer.commit("HEAD^1"), name
        for ref, name in ci_bases(self._environment):
            commit = self._comparer.commit(ref)
            if commit:
                yield self._comparer.merge_base(commit), name
        for branch in BASE_BRANCHES:
            base = self._comparer.merge_base(branch)
            if base:
                yield base, branch
                return

    def _nearest(self, commits: Collection[str]) -> list[str]:
        """Return the commits before HEAD that are not too far away, the nearest first."""
        distances = {}
        for commit in set(commits):
            distance = len(self._comparer.commits_since(commit))
            if 0 < distance <= MAX_COMMITS:
                distances[commit] = distance
        return sorted(distances, key=distances.__getitem__)[:MAX_PASSED]

    def _with_worktree(self, commit: str, since: str) -> Changes:
        comparison = self._comparer.with_worktree(commit)
        return self._changes(comparison, since, commit)

    def _changes(self, comparison: Comparison, since: str, commit: str) -> Changes:
        left_out = list(comparison.left_out)
        files: dict[str, ChangedFile] = {}
        for file in comparison.files:
            path = self._project.path_of(str(file.path))
            if _modified(file.path) >= self._started:
                left_out.append(f"{path} (written by this run)")
            else:
                files[path] = file
        texts: dict[str, ChangedText] = {}
        remaining = MAX_CHANGED_LINES
        for path in self._in_order_of_use(files):
            text = None
            # Dividing a file into pieces can take long, so its size is estimated first.
            if _least_size(files[path]) <= remaining:
                text = self._changed_text(path, files[path])
            size = sum(piece.size for piece in text.pieces) if text else math.inf
            if text is None or size > remaining:
                left_out.append(f"{path} (beyond {MAX_CHANGED_LINES} changed lines)")
            elif text.pieces:
                remaining -= int(size)
                texts[path] = text
        in_order = tuple(texts[path] for path in files if path in texts)
        return Changes(since, in_order, tuple(left_out), commit)

    def _in_order_of_use(self, files: Mapping[str, ChangedFile]) -> list[str]:
        """Return the paths: code, then tests, then data, and those with few changes first."""

        def rank(path: str) -> tuple[int, int]:
            return KINDS.index(self._kind(path)), _least_size(files[path])

        return sorted(files, key=rank)

    def _changed_text(self, path: str, file: ChangedFile) -> ChangedText:
        return ChangedText.of(path, self._kind(path), file.old, file.new).without_layout()

    def _kind(self, path: str) -> Kind:
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


def _least_size(file: ChangedFile) -> int:
    """Return the number of changed lines, or less if lines changed their places."""
    old = Counter((file.old or "").split("\n"))
    new = Counter((file.new or "").split("\n"))
    return (old - new).total() + (new - old).total()
