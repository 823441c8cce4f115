"""The benchmark of a large suite with many causes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import runs
from benchmarks.large_suite import FAULTS, Medians, rows_of, write_suite
from benchmarks.runs import Run

SECTION = "=== StarCoder: 2 failures, 1 cause ===\none\ntwo\n=== short test summary info ===\n"
SUMMARY = "=== 2 failed, 3 passed in 1.00s ===\n"


@pytest.mark.slow
@pytest.mark.parametrize("uncommitted", [False, True], ids=["committed", "uncommitted"])
def test_every_fault_fails(tmp_path: Path, uncommitted: bool) -> None:
    folder = write_suite(tmp_path / "project", len(FAULTS), uncommitted=uncommitted)
    output = runs.pytest(folder, "-q").output
    assert f"{7 * len(FAULTS)} failed, {43 * len(FAULTS)} passed" in output


def test_rows() -> None:
    medians = {
        "bare": Medians(2.0, 1.0, SUMMARY),
        "explained": Medians(5.0, 3.0, SECTION + SUMMARY),
        "with fixes": Medians(15.0, 6.0, SECTION + SUMMARY),
    }
    figures = {row.what: row.measured for row in rows_of(medians)}
    assert figures["the suite"] == "2 failed, 3 passed"
    assert figures["ratio of the wall seconds"] == "2.50"
    assert figures["more wall seconds with fixes"] == "10.0"
    assert figures["lines of the section"] == "3"


def test_medians() -> None:
    assert Medians.of([Run(1, 2, 1, "a"), Run(5, 6, 1, "b"), Run(3, 4, 1, "c")]) == Medians(
        3, 4, "c"
    )
