"""How often a finding of the review stands on the faulty line, beside an added line chosen at random.

`python -m benchmarks.review_lines FAULTY RIGHT [--backend B --model M] [--limit N]`
takes two folders of projects python_NNN with a solution.py each, laid out from
bigcode/humanevalpack: one with its faulty programs, one with its right ones. Each
program is reviewed twice by the real command: as the change from right to
faulty, and as a file that is new as a whole. With a model the first 12 are taken.
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
from pytest_starcoder.report.bars import Bars

WITH_A_MODEL = 12
"""Programs that are reviewed where a model is asked and no limit is given."""


@dataclass
class Tally:
    """Over all programs: those with a finding, those whose first finding is on a faulty line, and chance."""

    cases: int = 0
    found: int = 0
    hit: int = 0
    chance: list[float] = field(default_factory=list)

    @property
    def by_chance(self) -> float:
        """Percent of cases in which an added line at random is a faulty one."""
        return 100 * sum(self.chance) / max(1, len(self.chance))

    def rows(self, name: str) -> list[Row]:
        return [
            Row(f"{name}: programs with a finding", f"{self.found} of {self.cases}"),
            Row(f"{name}: the finding is on a faulty line", f"{self.hit} of {self.found}"),
            Row(f"{name}: an added line at random is", f"{self.by_chance:.0f} %"),
        ]


def charts(tallies: Mapping[str, Tally]) -> list[Bars]:
    """How many programs have a finding and where; and beside chance, as far as there are findings."""
    counted = Bars(
        "Programs with a fault, reviewed as a change and as a new file",
        "programs",
        ("reviewed", "with a finding", "the finding is on a faulty line"),
        tuple((name, (tally.cases, tally.found, tally.hit)) for name, tally in tallies.items()),
    )
    shares = tuple(
        (name, (round(100 * tally.hit / tally.found), round(tally.by_chance)))
        for name, tally in tallies.items()
        if tally.found
    )
    beside = Bars(
        "Findings on a faulty line, beside chance",
        "%",
        ("findings", "an added line at random"),
        shares,
    )
    return [counted, *([beside] if shares else [])]


def faulty_lines(right: str, faulty: str) -> set[int]:
    matcher = difflib.SequenceMatcher(None, right.split("\n"), faulty.split("\n"), autojunk=False)
    return {
        at
        for tag, _, _, first, last in matcher.get_opcodes()
        if tag != "equal"
        for at in range(first + 1, last + 1)
    }


def reviewed(
    folder: Path, right: str, faulty: str, arguments: list[str], *, new: bool
) -> list[int]:
    folder.mkdir()
    git(folder, "init", "-q")
    if not new:
        (folder / "solution.py").write_text(right)
        git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first", "--allow-empty")
    (folder / "solution.py").write_text(faulty)
    git(folder, "add", "-A")
    done = run(
        folder, "http://127.0.0.1:9", *REVIEW, "--format=json", "--time-budget=120", *arguments
    )
    return [found["line"] for found in json.loads(done.stdout)["findings"]]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("faulty", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, help="the first so many programs; 0 for all")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    asked = [
        f"--starcoder-backend={arguments.backend}",
        *([f"--starcoder-model={arguments.model}"] if arguments.model else []),
    ]
    limit = (
        arguments.limit
        if arguments.limit is not None
        else 0
        if arguments.backend == "none"
        else WITH_A_MODEL
    )
    tallies = {"change": Tally(), "new file": Tally()}
    names = sorted(
        path.name for path in arguments.faulty.iterdir() if (arguments.right / path.name).is_dir()
    )
    for name in names[: limit or None]:
        right, faulty = (
            (folder / name / "solution.py").read_text()
            for folder in (arguments.right, arguments.faulty)
        )
        wrong = faulty_lines(right, faulty)
        for kind, tally in tallies.items():
            with tempfile.TemporaryDirectory() as temporary:
                lines = reviewed(
                    Path(temporary) / "project", right, faulty, asked, new=kind == "new file"
                )
            written = {at for at, line in enumerate(faulty.split("\n"), 1) if line.strip()}
            added = wrong & written if kind == "change" else written
            if not added:
                continue  # the fault is a line that is missing
            tally.cases += 1
            tally.found += bool(lines)
            tally.hit += bool(lines) and lines[0] in wrong
            tally.chance.append(len(wrong & added) / len(added))
        print(f"{name}: {tallies['new file'].hit} of {tallies['new file'].found}", file=sys.stderr)
    rows = [
        Row("model", arguments.model or arguments.backend),
        Row("programs measured", f"{len(names[: limit or None])} of {len(names)}"),
        *(row for name, tally in tallies.items() for row in tally.rows(name)),
        wall_time(begun),
    ]
    smoke = "gemma-3-270m" if arguments.model == "demo" else ""
    publish(Outcome("review_lines", rows, charts(tallies), smoke), arguments)


if __name__ == "__main__":
    main()
