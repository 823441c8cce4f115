"""The last commits of real repositories, staged one by one: does the review see every file and every added line?

`python -m benchmarks.staged_commits REPOSITORY ... [--limit 200]` works in bare
copies and asks no model. Every file of a commit must have hunks or a reason,
and every line that git counts as added must be in a hunk, once.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import chdir
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median
from pytest_starcoder.report.bars import Bars
from pytest_starcoder.review.change_selection import find
from pytest_starcoder.review.request import Asked
from pytest_starcoder.review.selected import Found


def git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True).stdout


def wrong(folder: Path, found: Found) -> str:
    """What the review has missed or invented of what is staged; empty where it is right."""
    counted: dict[str, int] = {}
    plain = [
        "-c",
        "core.quotePath=false",
        "diff",
        "--cached",
        "-U3",
        "--no-ext-diff",
        "--no-renames",
        "HEAD",
    ]
    for part in re.split(rb"(?m)^(?=diff --git )", git(folder, *plain))[1:]:
        head, _, body = part.partition(b"\n@@ ")
        if name := re.search(rb"(?m)^\+\+\+ b/(.*?)\t?$", head):
            lines = body.split(b"\n")[1:]
            counted[name[1].decode("utf-8", "backslashreplace")] = sum(
                line.startswith(b"+") and bool(line[1:].strip()) for line in lines
            )
    told = {left.path for left in found.change.skipped} | {hunk.path for hunk in found.change.hunks}
    moved = {path for path, lines in counted.items() if not lines}
    if not set(counted) - moved <= told:
        return f"missed {sorted(set(counted) - moved - told)}"
    seen = Counter(
        hunk.path
        for hunk in found.change.hunks
        for line in hunk.lines
        if line.startswith("+") and line[1:].strip()
    )
    for path in told - {left.path for left in found.change.skipped}:
        text = git(folder, "show", f":{path}").decode("utf-8", "replace").split("\n")
        own = [hunk for hunk in found.change.hunks if hunk.path == path]
        clean = not found.change.secrets.get(path)
        if clean and any(
            text[at - 1].rstrip("\r") != hunk.line(at) for hunk in own for at in hunk.added
        ):
            return f"{path}: a line is not what it was"
        # Of a moved file git counts every line here, and the review those alone that are new.
        if counted.get(path, 0) != seen[path] and len(counted) == found.change.files:
            return f"{path}: {seen[path]} added lines, git counts {counted.get(path, 0)}"
    return ""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    rows: list[Row] = []
    slowness: dict[str, float] = {}
    faults: list[str] = []
    for repository in [path.absolute() for path in arguments.repositories]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            git(folder, "clone", "--quiet", "--shared", "--no-checkout", str(repository), ".")
            names = (
                git(
                    folder,
                    "log",
                    "--no-merges",
                    f"--max-count={arguments.limit}",
                    "--format=%H",
                    "HEAD",
                )
                .decode()
                .split()
            )
            times, files, hunks = [], 0, 0
            for name in names:
                if subprocess.run(
                    ["git", "rev-parse", "-q", "--verify", f"{name}^"],
                    cwd=folder,
                    capture_output=True,
                ).returncode:
                    continue
                git(folder, "update-ref", "--no-deref", "HEAD", f"{name}^")
                git(folder, "read-tree", name)
                started = time.perf_counter()
                try:
                    with chdir(folder):
                        found = find(Asked({"cache": "off"}), {})
                    told = wrong(folder, found)
                except Exception as exc:  # noqa: BLE001 - what is looked for
                    told = f"{type(exc).__name__}: {exc}"
                else:
                    times.append(time.perf_counter() - started)
                    files, hunks = files + found.change.files, hunks + found.change.total
                if told:
                    faults.append(f"{repository.name} {name[:9]}: {told}")
            slowness[repository.name] = median(times) * 1000
            rows.append(
                Row(
                    f"{repository.name}: seen",
                    f"{len(times)} commits, {files} files, {hunks} hunks",
                )
            )
            rows.append(
                Row(
                    f"{repository.name}: ms a commit, median / max",
                    f"{median(times) * 1000:.0f} / {max(times) * 1000:.0f}",
                )
            )
    rows += [Row("commits that were seen wrongly", str(len(faults)), "0"), wall_time(begun)]
    chart = Bars(
        "Reading what is staged, on the last commits of real repositories",
        "milliseconds a commit, median",
        ("ms",),
        tuple((name, (round(value),)) for name, value in slowness.items()),
    )
    publish(Outcome("staged_commits", rows, [chart], notes=faults), arguments)


if __name__ == "__main__":
    main()
