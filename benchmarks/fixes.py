"""Measures how many faults get a fix from `pytest --starcoder-explain`, and how many are right.

`python -m benchmarks.fixes CASES --tests test_example.py --judge test_full.py` runs a copy of
each project in the folder CASES with its --tests only, and without a model unless --backend
names one. The first fix of each is then applied to another copy and judged by the tests of
--judge, which the tool has not seen; without --judge, by all tests of the project. With --truth
(written by benchmarks/seeded_edits.py) each project is run as that file says.

A fault that keeps the run itself from ending in time counts as one without a fix. CASES are the
Python problems of bigcode/humanevalpack, a folder python_NNN each with solution.py and the tests
split into one assertion per test, or any projects of your own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.ranking import pytest_ended
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars

LIMIT = 45.0
"""Seconds per run; the search in it has 15 per cause."""


@dataclass(frozen=True)
class FaultResult:
    """The result of one fault; `right` says of each shown fix if it passes the judge."""

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
    project: Path,
    tests: Sequence[str],
    judge: Sequence[str],
    env: Mapping[str, str],
    options: Sequence[str],
) -> FaultResult:
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(
            project, Path(temporary) / "project", ignore=shutil.ignore_patterns(".git")
        )
        here = {name: value.replace(str(project), str(copy)) for name, value in env.items()}
        report = Path(temporary) / "report.json"
        arguments = ["--starcoder-explain", f"--starcoder-report={report}", *options]
        ended = pytest_ended(copy, [*arguments, *tests], here, LIMIT)
        if ended is None or not report.is_file():
            return FaultResult(
                project.name,
                ended is not None,
                note="did not end" if ended is None else "no report",
            )
        causes = json.loads(report.read_text("utf-8"))["causes"]
        best: dict[str, Any] = next(
            (cause for cause in causes if cause["fixes"]), causes[0] if causes else {}
        )
        fixes = best.get("fixes", [])
        # One fault may be several causes: what is shown for another of them is shown as well.
        fixes = [*fixes, *(fix for cause in causes if cause is not best for fix in cause["fixes"])]
        return FaultResult(
            project.name,
            True,
            tuple(
                _right(project, Path(temporary) / str(number), fix, judge, env)
                for number, fix in enumerate(fixes)
            ),
            tuple(fix["checked"] for fix in fixes),
            best.get("question", ""),
            best.get("fixes_note", ""),
            sum(cause["changes_tried"] for cause in causes),
            sum(cause["search_seconds"] for cause in causes),
        )


def _right(
    project: Path,
    folder: Path,
    fix: Mapping[str, Any],
    judge: Sequence[str],
    env: Mapping[str, str],
) -> bool:
    copy = shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git"))
    subprocess.run(
        ["git", "apply", "-"],
        cwd=copy,
        input=fix["diff"],
        text=True,
        check=True,
        capture_output=True,
    )
    here = {name: value.replace(str(project), str(copy)) for name, value in env.items()}
    ended = pytest_ended(copy, ["-p", "no:starcoder", "-x", "-q", *judge], here, LIMIT)
    return ended is not None and ended.status == 0


def rows(results: Sequence[FaultResult]) -> list[Row]:
    shown = [case for case in results if case.shown]
    checked = [case for case in shown if case.checked[0]]
    wrong = [case for case in shown if not case.right[0]]
    times = [case.searched for case in results if case.ended]
    return [
        Row("faults measured", str(len(results))),
        Row("did not end", str(sum(not case.ended for case in results))),
        Row("a fix is shown", f"{len(shown)} of {len(results)}"),
        Row("the first fix is right", f"{sum(case.right[0] for case in shown)} of {len(shown)}"),
        Row("a shown fix is right", f"{sum(any(case.right) for case in shown)} of {len(shown)}"),
        Row("labelled checked", f"{len(checked)} of {len(shown)}"),
        Row(
            "labelled checked and right",
            f"{sum(case.right[0] for case in checked)} of {len(checked)}",
        ),
        Row(
            "first is wrong, with a question",
            f"{sum(bool(case.question) for case in wrong)} of {len(wrong)}",
        ),
        Row(
            "seconds of search, median / max",
            f"{median(times):.2f} / {max(times):.2f}" if times else "-",
        ),
    ]


def bars(results: Sequence[FaultResult], judged_by: str) -> Bars:
    """Return the counts of faults with a fix, with a right one, and with a checked one."""
    shown = [case for case in results if case.shown]
    checked = [case for case in shown if case.checked[0]]
    counts = {
        "faults": len(results),
        "a fix is shown": len(shown),
        "a shown fix is right": sum(any(case.right) for case in shown),
        "the first fix is right": sum(case.right[0] for case in shown),
        "the first is labelled checked": len(checked),
        "… and is right": sum(case.right[0] for case in checked),
    }
    counted = tuple((name, (float(count),)) for name, count in counts.items())
    return Bars(f"Faults that get a fix, judged by {judged_by}", "faults", ("",), counted)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--tests", action="append", default=[])
    parser.add_argument("--judge", action="append", default=[])
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--limit", type=int, default=0, help="maximum number of cases")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    truth = json.loads(arguments.truth.read_text("utf-8")) if arguments.truth else {}
    cases = arguments.cases
    names = sorted(truth) or sorted(path.name for path in cases.iterdir() if path.is_dir())
    names = [
        name
        for name in names
        if (cases / name).is_dir() and (not arguments.only or name in arguments.only)
    ]
    plugin = [
        f"--starcoder-backend={arguments.backend}",
        *([f"--starcoder-model={arguments.model}"] if arguments.model else []),
    ]
    there = [
        name for name in names if all((cases / name / test).exists() for test in arguments.tests)
    ]
    results = []
    for name in there[: arguments.limit or None]:
        row, project = truth.get(name, {}), cases / name
        tests = [*row.get("run", []), *arguments.tests]
        case = measured(
            project, tests, [*row.get("run", []), *arguments.judge], row.get("env", {}), plugin
        )
        results.append(case)
        state = case.note or "none"
        if case.shown:
            state = "right" if case.right[0] else "wrong"
        label = "checked" if case.shown and case.checked[0] else ""
        print(
            f"{name}: {state} {label} {case.tried} tried, {case.searched:.1f} s {case.question}",
            file=sys.stderr,
        )
    outcome = Outcome(
        "fixes",
        [
            Row("run with", ", ".join(arguments.tests) or "all tests"),
            Row("judged by", judged_by := ", ".join(arguments.judge) or "all tests"),
            Row("model", arguments.model or arguments.backend),
            *rows(results),
            wall_time(begun),
        ],
        [bars(results, judged_by)],
        "gemma-3-270m" if arguments.model == "demo" else "",
    )
    publish(outcome, arguments)


if __name__ == "__main__":
    main()
