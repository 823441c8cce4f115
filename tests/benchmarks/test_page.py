"""Tests that the tables of the page of benchmarks come from docs/figures."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figures import DATA, FIGURES, Figures, benchmarks, fill_in, missing
from benchmarks.page import BLOCK, FOLDER, PAGE, block_of, cell, fill_page, table, unmeasured

RECORD = {
    "benchmark": "trials",
    "python": "3.11.7",
    "cores": 2,
    "smoke_run": "gemma-3-270m",
    "rows": [["ratio | of two", "1.01", "<= 1.02"], ["rounds", "15", ""]],
    "notes": ["One was left out."],
}

TABLE = """\
Python 3.11.7, 2 cores. **An end-to-end check** with gemma-3-270m: \
it says nothing about a model's quality.

| | measured | asked |
|---|---|---|
| ratio \\| of two | 1.01 | ≤ 1.02 |
| rounds | 15 | |

One was left out.
"""


def test_the_page_is_what_the_figures_make_of_it() -> None:
    page = PAGE.read_text("utf-8")
    assert fill_page(page, FOLDER) == page, "run `python -m benchmarks.page`"


def test_all_figures_have_their_place_in_the_page_and_no_others() -> None:
    assert sorted(block[2] for block in BLOCK.finditer(PAGE.read_text("utf-8"))) == sorted(FIGURES)


def test_a_record_becomes_a_table_that_says_where_it_ran_and_that_it_was_a_smoke_run() -> None:
    assert table(RECORD) == TABLE


def test_a_cell_breaks_no_table_and_holds_no_markup() -> None:
    assert cell("a|b <i>\n*c* `d` >= 1") == "a\\|b \\<i\\> \\*c\\* \\`d\\` ≥ 1"


def test_figures_that_are_not_there_are_said_to_be_missing(tmp_path: Path) -> None:
    page = "# Trials\n\n<!-- figures: trials -->\nold\n<!-- end -->\n"
    assert fill_page(page, tmp_path) == (
        "# Trials\n\n<!-- figures: trials -->\n```console\n$ python -m benchmarks.trials\n```\n\n"
        "Not measured yet.\n<!-- end -->\n"
    )
    assert unmeasured(page, tmp_path) == ["trials"]


def test_figures_that_are_there_come_with_their_command_and_their_picture(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "trials.json").write_text(json.dumps(RECORD))
    assert "![" not in block_of("trials", folder)
    (folder / "trials.svg").write_text("<svg/>")
    told = block_of("trials", folder)
    assert told.startswith("```console\n$ python -m benchmarks.trials\n```\n\nPython 3.11.7")
    assert told.endswith("\n![The figures of trials as bars](figures/trials.svg)\n")
    assert unmeasured("<!-- figures: trials -->\n<!-- end -->", folder) == []


def test_what_the_page_shows_is_in_the_files_of_the_same_benchmark() -> None:
    others = {
        "humaneval"
    }  # what `starcoder eval` has written; tests/evaluate/test_docs_page.py reads it
    files = [path for path in FOLDER.glob("*.json") if path.stem not in others]
    told = {path.stem: json.loads(path.read_text("utf-8")) for path in files}
    assert {name: record["benchmark"] for name, record in told.items()} == {
        name: FIGURES[name].benchmark for name in told
    }


def test_every_benchmark_begins_with_one_sentence_of_what_it_measures() -> None:
    sentences = benchmarks()
    assert {"fixes", "generate", "review", "why"} <= set(sentences)
    assert [name for name, told in sentences.items() if not told.endswith((".", "?"))] == []


def test_words_in_a_command_become_what_the_data_folder_has(tmp_path: Path) -> None:
    figures = Figures("staged_commits", "REPOSITORIES --rivals RIVALS --limit 5")
    assert missing(figures, tmp_path) == [f"{tmp_path}/repositories/* ({DATA['REPOSITORIES'][1]})"]
    for name in ("fzf", "click"):
        (tmp_path / "repositories" / name).mkdir(parents=True)
    assert missing(figures, tmp_path) == []
    both = [f"{tmp_path}/repositories/click", f"{tmp_path}/repositories/fzf"]
    assert fill_in(figures, tmp_path) == [*both, "--rivals", f"{tmp_path}/rivals", "--limit", "5"]
