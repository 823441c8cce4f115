"""Lists the benchmarks and the commands for the figures in the docs; `--into` runs them.

`python -m benchmarks` prints the list.
`python -m benchmarks --into docs/figures --data FOLDER [NAME ...]` runs the commands of NAME, or
all, one after the other, and writes NAME.json and NAME.svg. The list says what FOLDER must contain;
benchmarks without their data are skipped.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import DATA, FIGURES, benchmarks, fill_in, missing


def listing() -> str:
    """Return each benchmark with its summary and commands, and the placeholders in them."""
    lines = []
    for name, summary in benchmarks().items():
        lines.append(f"{name}: {summary}")
        for file, figures in FIGURES.items():
            if figures.benchmark == name:
                lines.append(f"    {figures.command}   -> {file}")
    lines += ["", "In these commands:"]
    for word, (place, description) in DATA.items():
        lines.append(f"    {word}: {description} (FOLDER/{place} with --data FOLDER)")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of figures; default: all")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="run the benchmarks and write the figures there"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="folder of the data that commands need",
    )
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in FIGURES]:
        parser.error(f"there are no figures {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    if not chosen.into:
        print(listing())
        return 0
    failed = []
    for name in chosen.names or FIGURES:
        figures = FIGURES[name]
        if lacking := missing(figures, chosen.data):
            print(f"{name} is skipped: there is no {lacking[0]}.", file=sys.stderr)
            continue
        place = chosen.into / name
        files = ["--json", f"{place}.json", "--picture", f"{place}.svg"]
        command = ["-m", f"benchmarks.{figures.benchmark}", *fill_in(figures, chosen.data), *files]
        if subprocess.run([sys.executable, *command], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
