"""Measures how many edits are tried per second, on functions that run in microseconds.

`python -m benchmarks.trials` writes a project of one function and four tests, and tries all
plain and extended edits of it.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.runner.worker_messages import Checks
from pytest_starcoder.source.edits import enumerate_edits

CODE = """def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle + 1]) / 2
"""

TESTS = """from code_under_test import median

def test_even(): assert median([4, 1, 3, 2]) == 2.5
def test_more(): assert median([1, 1, 2, 8, 9, 9]) == 5
def test_odd(): assert median([3, 1, 2]) == 2
def test_one(): assert median([7]) == 7
"""


def main() -> None:
    arguments = options(__doc__).parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "code_under_test.py").write_text(CODE)
        (root / "test_it.py").write_text(TESTS)
        (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        failing = ["test_it.py::test_even", "test_it.py::test_more"]
        passing = ["test_it.py::test_odd", "test_it.py::test_one"]
        edits = [(edit,) for edit in enumerate_edits(CODE, "code_under_test.py", range(1, 7))]
        started = time.perf_counter()
        with Trials(
            Launch(root, root, root / "pytest.ini"), [*failing, *passing], Deadline.after(120)
        ) as trials:
            opened = time.perf_counter() - started
            checks = Checks(dict.fromkeys(failing, 0.1), dict.fromkeys(passing, 0.1))
            started = time.perf_counter()
            verdicts = Counter(trial.verdict for trial in trials.try_in_functions(edits, checks))
            seconds = time.perf_counter() - started
            level = trials.level
    rate = len(edits) / seconds
    rows = [
        Row("edits", str(len(edits))),
        Row("sandbox level", str(level)),
        Row("seconds until the first is tried", f"{opened:.2f}"),
        Row("tried a second", f"{rate:.0f}", ">= 200"),
        *(Row(f"verdict: {verdict}", str(count)) for verdict, count in verdicts.most_common()),
    ]
    charts = [
        Bars(
            "Changes tried, each with four tests",
            "a second",
            ("rate",),
            (("pytest-starcoder", (round(rate),)),),
            200,
        ),
        Bars(
            "Verdicts",
            "changes",
            ("changes",),
            tuple((str(verdict), (count,)) for verdict, count in verdicts.most_common()),
        ),
    ]
    publish(Outcome("trials", [*rows, wall_time(begun)], charts), arguments)


if __name__ == "__main__":
    main()
