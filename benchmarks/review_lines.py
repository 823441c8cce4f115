"""Measures how often a finding is on the faulty line, compared with a random added line.

`python -m benchmarks.review_lines FAULTY RIGHT [--backend B --model M] [--limit N]`
takes two folders of projects python_NNN with a solution.py each, made from bigcode/humanevalpack:
one with its faulty programs, one with its correct ones. Each program is reviewed twice by the real
command: as the change from correct to faulty, and as a new file.
"""

from __future__ import annotations

import difflib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.review import REVIEW, git, run
from pytest_starcoder.report.bar_chart import Bars

LIMIT_WITH_MODEL = 12
"""Programs that are reviewed by a model if no limit is given."""


@dataclass
class Tally:
    """Programs, those with a finding, and those whose first finding is on a faulty line.

    `chances` are the probabilities that a random added line is faulty.
    """

    programs: int = 0
    with_finding: int = 0
    hits: int = 0
    chances: list[float] = field(default_factory=list)

    @property
    def chance(self) -> float:
        """Percent of programs in which a random added line is faulty."""
        return 100 * sum(self.chances) / max(1, len(self.chances))

    def add(self, lines: list[int], faulty: set[int], added: set[int]) -> None:
        """Count a review with findings on `lines`."""
        self.programs += 1
        self.with_finding += bool(lines)
        self.hits += bool(lines) and lines[0] in faulty
        self.chances.append(len(faulty & added) / len(added))

    def rows(self, name: str) -> list[Row]:
        return [
            Row(f"{name}: programs with a finding", f"{self.with_finding} of {self.programs}"),
            Row(f"{name}: the finding is on a faulty line", f"{self.hits} of {self.with_finding}"),
            Row(f"{name}: an added line at random is", f"{self.chance:.0f} %"),
        ]


def charts(tallies: Mapping[str, Tally]) -> list[Bars]:
    """Return the counts, and the share of hits beside chance if there are findings."""
    counts = []
    shares = []
    for name, tally in tallies.items():
        counts.append((name, (tally.programs, tally.with_finding, tally.hits)))
        if tally.with_finding:
            share = round(100 * tally.hits / tally.with_finding)
            shares.append((name, (share, round(tally.chance))))
    bars = [
        Bars(
            "Programs with a fault, reviewed as a change and as a new file",
            "programs",
            ("reviewed", "with a finding", "the finding is on a faulty line"),
            tuple(counts),
        )
    ]
    if shares:
        series = ("findings", "an added line at random")
        bars.append(Bars("Findings on a faulty line, beside chance", "%", series, tuple(shares)))
    return bars


def faulty_lines(right: str, faulty: str) -> set[int]:
    """Return the numbers of the lines of `faulty` that differ from `right`."""
    matcher = difflib.SequenceMatcher(None, right.split("\n"), faulty.split("\n"), autojunk=False)
    lines: set[int] = set()
    for tag, _, _, first, last in matcher.get_opcodes():
        if tag != "equal":
            lines.update(range(first + 1, last + 1))
    return lines


def review(right: str | None, faulty: str, arguments: list[str]) -> list[int]:
    """Return the lines with findings in a change to `faulty`, a new file if `right` is None."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        folder.mkdir()
        git(folder, "init", "-q")
        if right is not None:
            (folder / "solution.py").write_text(right)
            git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first", "--allow-empty")
        (folder / "solution.py").write_text(faulty)
        git(folder, "add", "-A")
        command = (*REVIEW, "--format=json", "--time-budget=120", *arguments)
        done = run(folder, "http://127.0.0.1:9", *command)
    return [finding["line"] for finding in json.loads(done.stdout)["findings"]]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("faulty", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, help="the number of programs; 0 for all")
    arguments = parser.parse_args()
    started = time.perf_counter()
    settings = [f"--starcoder-backend={arguments.backend}"]
    if arguments.model:
        settings.append(f"--starcoder-model={arguments.model}")
    limit = arguments.limit
    if limit is None and arguments.backend != "none":
        limit = LIMIT_WITH_MODEL
    in_both = [
        path for path in arguments.faulty.iterdir() if (arguments.right / path.name).is_dir()
    ]
    names = sorted(path.name for path in in_both)
    measured = names[: limit or None]
    change, new_file = Tally(), Tally()
    for name in measured:
        right = (arguments.right / name / "solution.py").read_text()
        faulty = (arguments.faulty / name / "solution.py").read_text()
        changed = faulty_lines(right, faulty)
        written = {at for at, line in enumerate(faulty.split("\n"), 1) if line.strip()}
        new_file.add(review(None, faulty, settings), changed, written)
        if changed & written:  # else the fault is a line that is missing
            change.add(review(right, faulty, settings), changed, changed & written)
        print(f"{name}: {new_file.hits} of {new_file.with_finding}", file=sys.stderr)
    tallies = {"change": change, "new file": new_file}
    rows = [
        Row("model", arguments.model or arguments.backend),
        Row("programs measured", f"{len(measured)} of {len(names)}"),
        *change.rows("change"),
        *new_file.rows("new file"),
        wall_time(started),
    ]
    smoke = "gemma-3-270m" if arguments.model == "demo" else ""
    publish(Outcome("review_lines", rows, charts(tallies), smoke), arguments)


if __name__ == "__main__":
    main()
