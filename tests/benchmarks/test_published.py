"""Tests of the outputs of a benchmark: table, JSON line, files and picture."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks.published import Outcome, Row, options, publish, wall_time
from pytest_starcoder.report.bar_chart import Bars

OUTCOME = Outcome(
    "cost",
    [Row("requests", "2", "<= 3"), Row("seconds of all", "0.25")],
    [Bars("Cost", "requests", ("requests",), (("ours", (2,)),))],
    notes=["Measured on a slow machine."],
)


def test_the_table_has_each_figure_beside_what_is_asked_and_the_json_line_has_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(OUTCOME, options("").parse_args([]))
    title, requests, seconds, note, line = capsys.readouterr().out.splitlines()
    assert title.startswith("cost, Python 3.")
    assert requests.split() == ["requests", "2", "<=", "3"]
    assert seconds.split() == ["seconds", "of", "all", "0.25"]
    assert note.strip() == "Measured on a slow machine."
    told = json.loads(line)
    assert told["benchmark"] == "cost"
    assert told["rows"] == [["requests", "2", "<= 3"], ["seconds of all", "0.25", ""]]
    assert "smoke_run" not in told


def test_a_smoke_run_names_its_model_in_the_table_and_in_the_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(Outcome("cost", [], smoke="gemma-3-270m"), options("").parse_args([]))
    title, line = capsys.readouterr().out.splitlines()
    assert title.endswith("cores, an end-to-end check with gemma-3-270m")
    assert json.loads(line)["smoke_run"] == "gemma-3-270m"


def test_the_json_file_has_what_the_line_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "figures" / "cost.json"
    publish(OUTCOME, options("").parse_args(["--json", str(there)]))
    assert json.loads(there.read_text("utf-8")) == json.loads(
        capsys.readouterr().out.splitlines()[-1]
    )


@pytest.mark.slow
def test_the_picture_is_drawn_where_it_was_asked_for(tmp_path: Path) -> None:
    there = tmp_path / "figures" / "cost.svg"
    publish(OUTCOME, options("").parse_args(["--picture", str(there)]))
    assert ">ours<" in there.read_text("utf-8")


def test_a_picture_of_a_wrong_ending_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(
        SystemExit, match=r"A picture cannot be drawn as cost\.txt\. Use one of the suffixes"
    ):
        options("").parse_args(["--picture", "cost.txt"])


def test_the_wall_time_is_that_since_the_start() -> None:
    row = wall_time(time.perf_counter() - 61.2)
    assert (row.measured, row.asked) == ("61", "<= 600")
