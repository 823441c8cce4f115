"""How often a finding stands on the faulty line, beside an added line chosen at random.

`python -m benchmarks.review_lines FAULTY RIGHT [--backend B --model M] [--limit N]`
takes two folders that ../shared/tools/humanevalfix_cases.py has laid out, the
second with `--side canonical`. Each program is reviewed twice by the real
command: as the change from right to faulty, and as a file that is new as a whole.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.review import REVIEW, git, run
from benchmarks.runs import report


@dataclass
class Tally:
    """Over all programs: those with a finding, those whose first finding is on a faulty line, and chance."""

    cases: int = 0
    found: int = 0
    hit: int = 0
    chance: list[float] = field(default_factory=list)

    def rows(self, name: str) -> list[tuple[str, str, str]]:
        return [
            (f"{name}: programs with a finding", f"{self.found} of {self.cases}", ""),
            (f"{name}: the finding is on a faulty line", f"{self.hit} of {self.found}", ""),
            (f"{name}: an added line at random is", f"{100 * sum(self.chance) / max(1, len(self.chance)):.0f} %", ""),
        ]


def faulty_lines(right: str, faulty: str) -> set[int]:
    matcher = difflib.SequenceMatcher(None, right.split("\n"), faulty.split("\n"), autojunk=False)
    return {
        at for tag, _, _, first, last in matcher.get_opcodes() if tag != "equal" for at in range(first + 1, last + 1)
    }


def reviewed(folder: Path, right: str, faulty: str, options: list[str], *, new: bool) -> list[int]:
    folder.mkdir()
    git(folder, "init", "-q")
    if not new:
        (folder / "solution.py").write_text(right)
        git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first", "--allow-empty")
    (folder / "solution.py").write_text(faulty)
    git(folder, "add", "-A")
    done = run(folder, "http://127.0.0.1:9", *REVIEW, "--format=json", "--time-budget=120", *options)
    return [found["line"] for found in json.loads(done.stdout)["findings"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faulty", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    asked = [
        f"--starcoder-backend={options.backend}",
        *([f"--starcoder-model={options.model}"] if options.model else []),
    ]
    tallies = {"change": Tally(), "new file": Tally()}
    names = sorted(path.name for path in options.faulty.iterdir() if (options.right / path.name).is_dir())
    for name in names[: options.limit or None]:
        right, faulty = ((folder / name / "solution.py").read_text() for folder in (options.right, options.faulty))
        wrong = faulty_lines(right, faulty)
        for kind, tally in tallies.items():
            with tempfile.TemporaryDirectory() as temporary:
                lines = reviewed(Path(temporary) / "project", right, faulty, asked, new=kind == "new file")
            written = {at for at, line in enumerate(faulty.split("\n"), 1) if line.strip()}
            added = wrong & written if kind == "change" else written
            if not added:
                continue  # the fault is a line that is missing
            tally.cases += 1
            tally.found += bool(lines)
            tally.hit += bool(lines) and lines[0] in wrong
            tally.chance.append(len(wrong & added) / len(added))
        print(f"{name}: {tallies['new file'].hit} of {tallies['new file'].found}", file=sys.stderr)
    report(
        f"review_lines, {options.backend} {options.model}".strip(),
        [row for name, tally in tallies.items() for row in tally.rows(name)],
    )


if __name__ == "__main__":
    main()
