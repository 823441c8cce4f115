"""Stages the last commits of real repositories and checks that the review sees every line.

`python -m benchmarks.staged_commits REPOSITORY ... [--limit 200]` works in bare copies, without
a model. Every file of a commit must have hunks or a reason, and every line that git counts as
added must be in exactly one hunk.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.review.change import Change
from pytest_starcoder.review.change_selection import select_change
from pytest_starcoder.review.request import ReviewRequest

DIFF = (
    *("-c", "core.quotePath=false", "diff", "--cached", "-U3"),
    *("--no-ext-diff", "--no-renames", "HEAD"),
)


def git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def counted_by_git(folder: Path) -> dict[str, int]:
    """Return the number of added lines that are not blank, by path."""
    counts = {}
    for part in re.split(rb"(?m)^(?=diff --git )", git(folder, *DIFF))[1:]:
        head, _, body = part.partition(b"\n@@ ")
        name = re.search(rb"(?m)^\+\+\+ b/(.*?)\t?$", head)
        if name:
            lines = body.split(b"\n")[1:]
            added = [line for line in lines if line.startswith(b"+") and line[1:].strip()]
            counts[name[1].decode("utf-8", "backslashreplace")] = len(added)
    return counts


def counted_in_hunks(change: Change) -> Counter[str]:
    counts = Counter[str]()
    for hunk in change.hunks:
        added = [line for line in hunk.lines if line.startswith("+") and line[1:].strip()]
        counts[hunk.path] += len(added)
    return counts


def fault_of(folder: Path, change: Change) -> str:
    """Return what the review has missed or invented of what is staged; empty if it is right."""
    expected, seen = counted_by_git(folder), counted_in_hunks(change)
    skipped = {entry.path for entry in change.unreviewed}
    moved = git(folder, "diff", "--cached", "-M", "--diff-filter=RC", "--name-only", "-z", "HEAD")
    missed = {path for path, lines in expected.items() if lines} - skipped - seen.keys()
    if missed:
        return f"missed {sorted(missed)}"
    for path in seen.keys() - skipped:
        text = git(folder, "show", f":{path}").decode("utf-8", "replace").split("\n")
        hunks = [hunk for hunk in change.hunks if hunk.path == path]
        if not change.secrets.get(path):
            for hunk in hunks:
                if any(text[at - 1].rstrip("\r") != hunk.line(at) for at in hunk.added):
                    return f"{path}: a line is not what it was"
        # git counts every line of a moved file here, and the review only the new ones.
        is_moved = path.encode() in moved.split(b"\0")
        if not is_moved and expected.get(path, 0) != seen[path]:
            return f"{path}: {seen[path]} added lines, git counts {expected.get(path, 0)}"
    return ""


@dataclass
class Measurement:
    """The review of the commits of one repository."""

    name: str
    seconds: list[float] = field(default_factory=list)
    files: int = 0
    hunks: int = 0
    faults: list[str] = field(default_factory=list)

    def stage(self, folder: Path, commit: str) -> None:
        """Stage what a commit changes, and check the review of it."""
        git(folder, "update-ref", "--no-deref", "HEAD", f"{commit}^")
        git(folder, "read-tree", commit)
        started = time.perf_counter()
        try:
            with chdir(folder):
                change = select_change(ReviewRequest({"cache": "off"}), {}).change
            seconds = time.perf_counter() - started
            fault = fault_of(folder, change)
        except Exception as exc:  # noqa: BLE001 - crashes are counted
            fault = f"{type(exc).__name__}: {exc}"
        else:
            self.seconds.append(seconds)
            self.files += change.files
            self.hunks += change.total
        if fault:
            self.faults.append(f"{self.name} {commit[:9]}: {fault}")

    def rows(self) -> list[Row]:
        seen = f"{len(self.seconds)} commits, {self.files} files, {self.hunks} hunks"
        times = f"{median(self.seconds) * 1000:.0f} / {max(self.seconds) * 1000:.0f}"
        return [
            Row(f"{self.name}: seen", seen),
            Row(f"{self.name}: ms a commit, median / max", times),
        ]


def measure(repository: Path, limit: int) -> Measurement:
    measurement = Measurement(repository.name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        git(folder, "clone", "--quiet", "--shared", "--no-checkout", str(repository), ".")
        # A commit without a parent cannot be staged on one.
        log = ("log", "--no-merges", "--min-parents=1", f"--max-count={limit}", "--format=%H")
        for commit in git(folder, *log, "HEAD").decode().split():
            measurement.stage(folder, commit)
    return measurement


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    arguments = parser.parse_args()
    started = time.perf_counter()
    rows: list[Row] = []
    medians: list[tuple[str, tuple[float, ...]]] = []
    faults: list[str] = []
    for repository in arguments.repositories:
        measurement = measure(repository.absolute(), arguments.limit)
        rows += measurement.rows()
        medians.append((measurement.name, (round(median(measurement.seconds) * 1000),)))
        faults += measurement.faults
    rows += [Row("commits that were seen wrongly", str(len(faults)), "0"), wall_time(started)]
    chart = Bars(
        "Reading what is staged, on the last commits of real repositories",
        "milliseconds a commit, median",
        ("ms",),
        tuple(medians),
    )
    publish(Outcome("staged_commits", rows, [chart], notes=faults), arguments)


if __name__ == "__main__":
    main()
