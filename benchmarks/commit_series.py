"""Lays out a real bug as one of several commits, among later commits of its project."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.real_bugs import RealBug, applies, changed_lines, git

MAX_LINES = 300
"""Commits that change more lines are left out."""

MAX_CANDIDATES = 4
"""Later commits that are looked at, for each that is wanted."""

TESTED = (".py", ".toml", ".cfg", ".ini")
"""Suffixes of files that can change what tests do."""


@dataclass(frozen=True)
class LaterCommit:
    """A commit of a project after the fix."""

    subject: str
    paths: tuple[str, ...]
    diff: str


def lay_out_commits(bug: RealBug, mirrors: Path, count: int) -> str:
    """Create ID.commits with the fault in one of up to `count` commits, and describe the result.

    The tests pass at each commit before the fault, and fail at the last one.
    """
    tree = bug.tree.with_name(f"{bug.name}.commits")
    description = tree.with_name(f"{tree.name}.json")
    if description.exists():
        return "laid out before"
    shutil.rmtree(tree, ignore_errors=True)
    git(bug.tree, "clone", "--quiet", "--no-hardlinks", ".", str(tree))
    git(tree, "remote", "remove", "origin")
    git(tree, "branch", "--move", "--force", "main")
    base = git(tree, "rev-parse", "HEAD").strip()
    mirror = mirrors / bug.project.replace("/", "+") / "repo"
    later = _passing_commits(bug, tree, mirror, count - 1)
    place = random.Random(bug.name).randint(len(later) // 4, 3 * len(later) // 4)
    for change in later[:place]:
        _commit(tree, change.diff, change.subject)
    paths = sorted({path for path, _ in changed_lines(bug.fault)})
    fault = _commit(tree, bug.fault, f"Change {', '.join(paths)}")
    for change in later[place:]:
        _commit(tree, change.diff, change.subject)
    after = int(git(tree, "rev-list", "--count", f"{fault}..HEAD"))
    status = _status(bug, tree, *bug.tests)
    git(tree, "reset", "--quiet", "--hard")
    git(tree, "clean", "-d", "-x", "--force", "--quiet")
    if not fault or status != 1:
        return "left out: the tests of the bug do not fail at the last commit"
    facts = {"fault": bug.fault, "commit": fault, "base": base, "before": place, "after": after}
    description.write_text(json.dumps(facts, indent=1), "utf-8")
    return f"the fault has {place} commits before it and {after} after it"


def _passing_commits(bug: RealBug, tree: Path, mirror: Path, count: int) -> list[LaterCommit]:
    """Return the next commits after the fix with which the tests pass and the fault applies."""
    passing: list[LaterCommit] = []
    for change in _later_commits(mirror, bug.fixed_commit, MAX_CANDIDATES * count):
        if len(passing) == count:
            break
        if not applies(change.diff, tree, "--index"):
            continue
        good = applies(bug.fault, tree, "--check")
        if good and any(path.endswith(TESTED) for path in change.paths):
            good = _status(bug, tree, *bug.files, *bug.tests) == 0
        if good:
            passing.append(change)
        else:
            applies(change.diff, tree, "--index", "--reverse")
    git(tree, "reset", "--quiet", "--hard")
    return passing


def _later_commits(mirror: Path, commit: str, count: int) -> Iterator[LaterCommit]:
    order = ("--reverse", "--no-merges", "--ancestry-path")
    for later in git(mirror, "rev-list", *order, f"{commit}..HEAD").split()[:count]:
        diff = git(mirror, "diff", "--binary", "--no-renames", f"{later}^", later)
        lines = sum(line.startswith(("+", "-")) for line in diff.splitlines())
        if 0 < lines <= MAX_LINES:
            paths = git(mirror, "diff", "--name-only", f"{later}^", later).splitlines()
            subject = git(mirror, "log", "-1", "--format=%s", later).strip()
            yield LaterCommit(subject, tuple(paths), diff)


def _commit(tree: Path, diff: str, subject: str) -> str:
    """Commit a diff and return the hash, or an empty string if it does not apply."""
    if not applies(diff, tree, "--index"):
        return ""
    git(tree, "commit", "--quiet", "--no-verify", f"--message={subject}")
    return git(tree, "rev-parse", "HEAD").strip()


def _status(bug: RealBug, tree: Path, *arguments: str) -> int | None:
    """Return the exit status of tests; the compiled files of one commit must not serve another."""
    with tempfile.TemporaryDirectory() as home:
        options = ("-q", "--tb=no", "-x", *bug.options)
        more = {"PYTHONDONTWRITEBYTECODE": "1"}
        return bug.run(tree, Path(home), *options, *arguments, python=bug.python, more=more).status
