"""The output of a benchmark: a table, one JSON line, and on request a JSON file and a picture."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.report.bar_chart import Bars, check_drawable, draw


@dataclass(frozen=True)
class Row:
    """One figure as text, and its target; `asked` is empty without a target."""

    what: str
    measured: str
    asked: str = ""


def wall_time(started: float) -> Row:
    """Return the row of the time since `started`, of time.perf_counter()."""
    return Row("this command, wall time, s", f"{time.perf_counter() - started:.0f}", "<= 600")


@dataclass(frozen=True)
class Outcome:
    """The figures of one command.

    `smoke` names the demo model if it answered: such figures say nothing about a model.
    """

    name: str
    rows: Sequence[Row]
    charts: Sequence[Bars] = ()
    smoke: str = ""
    notes: Sequence[str] = field(default=())

    def record(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            **({"smoke_run": self.smoke} if self.smoke else {}),
            "rows": [[row.what, row.measured, row.asked] for row in self.rows],
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--picture", type=_picture, metavar="FILE", help="draw the figures (.svg, .png or .pdf)"
    )
    return parser


def publish(outcome: Outcome, chosen: argparse.Namespace) -> None:
    """Print the table and the JSON line, and write the files that `chosen` names."""
    record = outcome.record()
    smoke = f", an end-to-end check with {outcome.smoke}" if outcome.smoke else ""
    print(f"{outcome.name}, Python {record['python']}, {record['cores']} cores{smoke}")
    width = max((len(row.what) for row in outcome.rows), default=0)
    for row in outcome.rows:
        print(f"  {row.what.ljust(width)}  {row.measured:>24}   {row.asked}".rstrip())
    for note in outcome.notes:
        print(f"  {note}")
    print(json.dumps(record, ensure_ascii=False))
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if chosen.picture:
        chosen.picture.parent.mkdir(parents=True, exist_ok=True)
        draw(outcome.charts, chosen.picture)


def _picture(text: str) -> Path:
    path = Path(text)
    try:
        check_drawable(path)
    except StarcoderError as error:
        raise SystemExit(f"{Path(sys.argv[0]).stem}: {error}") from error
    return path
