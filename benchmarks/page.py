"""Writes the tables of docs/benchmarks.md from the files in docs/figures.

`python -m benchmarks.page` replaces the text between `<!-- figures: NAME -->` and `<!-- end -->`
by the command, the table and the picture of NAME, and lists missing figures. With `--check`
nothing is written, and the exit status is 1 if the page is out of date; with `--complete` it is 1
if figures are missing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import FIGURES

DOCS = Path(__file__).parents[1] / "docs"

PAGE, FOLDER = DOCS / "benchmarks.md", DOCS / "figures"

BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_page(page: str, folder: Path) -> str:
    """Return the page with the figures of `folder` in all its blocks."""
    return BLOCK.sub(lambda block: f"{block[1]}{block_of(block[2], folder)}{block[3]}", page)


def unmeasured(page: str, folder: Path) -> list[str]:
    """Return the names in the page without figures or picture."""
    names = [block[2] for block in BLOCK.finditer(page)]
    return [
        name
        for name in names
        if not all((folder / f"{name}.{ending}").is_file() for ending in ("json", "svg"))
    ]


def block_of(name: str, folder: Path) -> str:
    """Return the command of a name, and its table and picture if they exist."""
    command = f"```console\n$ {FIGURES[name].command}\n```\n"
    path, picture = folder / f"{name}.json", folder / f"{name}.svg"
    if not path.is_file():
        return f"{command}\nNot measured yet.\n"
    shown = (
        f"\n![The figures of {name} as bars]({folder.name}/{name}.svg)\n"
        if picture.is_file()
        else ""
    )
    return f"{command}\n{table(json.loads(path.read_text('utf-8')))}{shown}"


def table(record: Mapping[str, Any]) -> str:
    """Return the record of a benchmark as Markdown: where it ran, its rows, its notes."""
    smoke = (
        f" **An end-to-end check** with {record['smoke_run']}: "
        "it says nothing about a model's quality."
        if "smoke_run" in record
        else ""
    )
    lines = [
        f"Python {record['python']}, {record['cores']} cores.{smoke}",
        "",
        "| | measured | asked |",
        "|---|---|---|",
    ]
    lines += [f"| {' | '.join(map(cell, row))} |".replace("|  |", "| |") for row in record["rows"]]
    lines += [line for note in record.get("notes", []) for line in ("", cell(note))]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    plain = " ".join(text.split()).replace("<=", "≤").replace(">=", "≥")
    return re.sub(r"([\\|<>*`\[\]])", r"\\\1", plain)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is out of date"
    )
    parser.add_argument("--complete", action="store_true", help="fail if figures are missing")
    chosen = parser.parse_args()
    before = PAGE.read_text("utf-8")
    after, lacking = fill_page(before, FOLDER), unmeasured(before, FOLDER)
    if lacking:
        print(f"Not measured yet: {', '.join(lacking)}.", file=sys.stderr)
    if chosen.check and after != before:
        print(
            "docs/benchmarks.md is out of date. Run `python -m benchmarks.page`.",
            file=sys.stderr,
        )
    if not chosen.check:
        PAGE.write_text(after, "utf-8")
    return bool((chosen.check and after != before) or (chosen.complete and lacking))


if __name__ == "__main__":
    sys.exit(main())
