"""The page on measuring a model: its table and its figures are those of the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pytest_starcoder.evaluate.pass_at_k import Published
from pytest_starcoder.evaluate.report import markdown_table, published_results

DOCS = Path(__file__).parents[2] / "docs"


def test_published_table() -> None:
    page = (DOCS / "evaluating.md").read_text("utf-8")
    report = json.loads((DOCS / "figures" / "humaneval.json").read_text("utf-8"))
    assert report["smoke_run"]
    assert report["problems"] == report["of"] == 164
    row = {
        f"{report['model']} (measured here, an end-to-end check)": {
            "humaneval": round(100 * report["pass_at"]["1"], 1)
        }
    }
    table = "\n".join(markdown_table(Published({**published_results().rows, **row})))
    assert f"<!-- table: published -->\n{table}\n<!-- end -->" in page, f"\n{table}"


def test_cost_of_demo_row() -> None:
    page = (DOCS / "evaluating.md").read_text("utf-8")
    report = json.loads((DOCS / "figures" / "humaneval.json").read_text("utf-8"))
    passed = sum(verdict["said"] == "passed" for verdict in report["verdicts"])
    pattern = r"(\d+) of 164 problems, (\d+) minutes of model time and ([\d,]+) tokens"
    cost = re.search(pattern, page)
    assert cost
    minutes = round(report["seconds_asking"] / 60)
    assert cost.groups() == (str(passed), str(minutes), f"{report['tokens']:,}")
