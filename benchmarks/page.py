"""Writes the tables of the page docs/benchmarks.md from the files in docs/figures.

`python -m benchmarks.page` replaces what stands between `<!-- figures: NAME -->` and `<!-- end -->` by the command,
the table and the picture of NAME, and tells what is not measured yet. With
`--check` nothing is written, and the exit status is 1 where the page is not what
it would write; with `--complete` it is 1 where anything is not measured yet.
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


def written(page: str, folder: Path) -> str:
    """The page with the figures of `folder` in all its blocks."""
    return BLOCK.sub(lambda block: f"{block[1]}{block_of(block[2], folder)}{block[3]}", page)


def unmeasured(page: str, folder: Path) -> list[str]:
    """The names in the page whose figures or picture are not there."""
    names = [block[2] for block in BLOCK.finditer(page)]
    return [
        name
        for name in names
        if not all((folder / f"{name}.{ending}").is_file() for ending in ("json", "svg"))
    ]


def block_of(name: str, folder: Path) -> str:
    """Command, table and picture of one name, as far as they are there."""
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
    """What a benchmark has recorded: where it ran, its rows, and its notes."""
    smoke = (
        f" **A smoke run** with {record['smoke_run']}: no figure of a model's worth."
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
    """A text as it stands in a cell of a Markdown table."""
    plain = " ".join(text.split()).replace("<=", "≤").replace(">=", "≥")
    return re.sub(r"([\\|<>*`\[\]])", r"\\\1", plain)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where the page is not up to date"
    )
    parser.add_argument("--complete", action="store_true", help="fail where figures are missing")
    chosen = parser.parse_args()
    before = PAGE.read_text("utf-8")
    after, lacking = written(before, FOLDER), unmeasured(before, FOLDER)
    if lacking:
        print(f"Not measured yet: {', '.join(lacking)}.", file=sys.stderr)
    if chosen.check and after != before:
        print(
            "docs/benchmarks.md is not made from docs/figures. Run `python -m benchmarks.page`.",
            file=sys.stderr,
        )
    if not chosen.check:
        PAGE.write_text(after, "utf-8")
    return bool((chosen.check and after != before) or (chosen.complete and lacking))


if __name__ == "__main__":
    sys.exit(main())
