"""How many faults get a fix that was run, by the real `pytest --starcoder-explain`, and how many of those are right.

`python -m benchmarks.fixes CASES --tests test_example.py --judge test_full.py`
runs the projects in the folder CASES with their --tests alone, in a copy of
each, with no model unless --backend names one. The first fix of each is then
put into another copy and judged by the tests of --judge, which the tool has not
seen; without --judge a fix is judged by all tests of the project. With --truth
(what benchmarks/seeded_edits.py writes) each project is run as that says.

A fault that keeps the run itself from ending in time is counted as no fix.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ranking import pytest_ended
from benchmarks.runs import median, report

LIMIT = 120.0
"""Seconds of one run."""


@dataclass(frozen=True)
class Found:
    """What one fault got; `right` tells of each shown fix, its first cause's first, whether it passes the judge."""

    name: str
    ended: bool
    right: tuple[bool, ...] = ()
    checked: tuple[bool, ...] = ()
    question: str = ""
    note: str = ""
    tried: int = 0
    searched: float = 0.0

    @property
    def shown(self) -> bool:
        return bool(self.right)


def measured(
    project: Path, tests: Sequence[str], judge: Sequence[str], env: Mapping[str, str], options: Sequence[str]
) -> Found:
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(project, Path(temporary) / "project", ignore=shutil.ignore_patterns(".git"))
        here = {name: value.replace(str(project), str(copy)) for name, value in env.items()}
        told = Path(temporary) / "report.json"
        arguments = ["--starcoder-explain", f"--starcoder-report={told}", *options]
        ended = pytest_ended(copy, [*arguments, *tests], here, LIMIT)
        if ended is None or not told.is_file():
            return Found(project.name, ended is not None, note="did not end" if ended is None else "no report")
        causes = json.loads(told.read_text("utf-8"))["causes"]
        best: dict[str, Any] = next((cause for cause in causes if cause["fixes"]), causes[0] if causes else {})
        fixes = best.get("fixes", [])
        # One fault may be several causes: what is shown for another of them is shown as well.
        fixes = [*fixes, *(fix for cause in causes if cause is not best for fix in cause["fixes"])]
        return Found(
            project.name,
            True,
            tuple(_right(project, Path(temporary) / str(number), fix, judge, env) for number, fix in enumerate(fixes)),
            tuple(fix["checked"] for fix in fixes),
            best.get("question", ""),
            best.get("fixes_note", ""),
            sum(cause["changes_tried"] for cause in causes),
            sum(cause["search_seconds"] for cause in causes),
        )


def _right(project: Path, folder: Path, fix: Mapping[str, Any], judge: Sequence[str], env: Mapping[str, str]) -> bool:
    copy = shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git"))
    subprocess.run(["git", "apply", "-"], cwd=copy, input=fix["diff"], text=True, check=True, capture_output=True)
    here = {name: value.replace(str(project), str(copy)) for name, value in env.items()}
    ended = pytest_ended(copy, ["-p", "no:starcoder", "-x", "-q", *judge], here, LIMIT)
    return ended is not None and ended.status == 0


def rows(found: Sequence[Found]) -> list[tuple[str, str, str]]:
    shown = [case for case in found if case.shown]
    checked = [case for case in shown if case.checked[0]]
    wrong = [case for case in shown if not case.right[0]]
    times = [case.searched for case in found if case.ended]
    return [
        ("faults", str(len(found)), ""),
        ("did not end", str(sum(not case.ended for case in found)), ""),
        ("a fix is shown", f"{len(shown)} of {len(found)}", ""),
        ("the first fix is right", f"{sum(case.right[0] for case in shown)} of {len(shown)}", ""),
        ("a shown fix is right", f"{sum(any(case.right) for case in shown)} of {len(shown)}", ""),
        ("labelled checked", f"{len(checked)} of {len(shown)}", ""),
        ("labelled checked and right", f"{sum(case.right[0] for case in checked)} of {len(checked)}", ""),
        ("first is wrong, with a question", f"{sum(bool(case.question) for case in wrong)} of {len(wrong)}", ""),
        ("seconds of search, median / max", f"{median(times):.2f} / {max(times):.2f}" if times else "-", ""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--tests", action="append", default=[])
    parser.add_argument("--judge", action="append", default=[])
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--limit", type=int, default=0, help="so many cases at the most")
    options = parser.parse_args()
    told = json.loads(options.truth.read_text("utf-8")) if options.truth else {}
    names = sorted(told) or sorted(path.name for path in options.cases.iterdir() if path.is_dir())
    names = [name for name in names if (options.cases / name).is_dir() and (not options.only or name in options.only)]
    plugin = [
        f"--starcoder-backend={options.backend}",
        *([f"--starcoder-model={options.model}"] if options.model else []),
    ]
    found = []
    for name in names[: options.limit or None]:
        row, project = told.get(name, {}), options.cases / name
        tests = [*row.get("run", []), *options.tests]
        if any(not (project / test).exists() for test in options.tests):
            continue
        case = measured(project, tests, [*row.get("run", []), *options.judge], row.get("env", {}), plugin)
        found.append(case)
        state = "right" if case.shown and case.right[0] else "wrong" if case.shown else case.note or "none"
        label = "checked" if case.shown and case.checked[0] else ""
        print(f"{name}: {state} {label} {case.tried} tried, {case.searched:.1f} s {case.question}", file=sys.stderr)
    report("fixes", rows(found))


if __name__ == "__main__":
    main()
