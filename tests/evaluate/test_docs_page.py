"""The page on measuring a model: its tables are the package's, and its last row is what a report says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pytest_starcoder.evaluate.evaluation import Published
from pytest_starcoder.evaluate.report import markdown_table, published

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_is_the_published_one_with_the_row_of_the_report() -> None:
    page = (DOCS / "evaluating.md").read_text("utf-8")
    report = json.loads((DOCS / "figures" / "humaneval.json").read_text("utf-8"))
    assert report["smoke_run"]
    assert report["problems"] == report["of"] == 164
    row = {
        f"{report['model']} (measured here, a smoke run)": {
            "humaneval": round(100 * report["pass_at"]["1"], 1)
        }
    }
    table = "\n".join(markdown_table(Published({**published().rows, **row})))
    assert f"<!-- table: published -->\n{table}\n<!-- end -->" in page, f"\n{table}"


def test_the_demo_models_row_says_what_it_took() -> None:
    page = (DOCS / "evaluating.md").read_text("utf-8")
    report = json.loads((DOCS / "figures" / "humaneval.json").read_text("utf-8"))
    passed = sum(one["said"] == "passed" for one in report["verdicts"])
    said = re.search(r"(\d+) of 164 problems, (\d+) minutes of asking and ([\d,]+) tokens", page)
    assert said
    minutes, tokens = round(report["seconds_asking"] / 60), f"{report['tokens']:,}"
    assert said.groups() == (str(passed), str(minutes), tokens)
