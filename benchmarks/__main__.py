"""Every benchmark and the command with which the docs' figures are taken; `--into` takes them.

`python -m benchmarks` prints the list. `python -m benchmarks --into docs/figures --data FOLDER [NAME ...]`
runs those of NAME, or all, one after the other, and writes NAME.json and
NAME.svg. What FOLDER has to hold is in the list; what lacks its data is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import DATA, FIGURES, benchmarks, filled, missing


def listing() -> str:
    """Each benchmark with what it measures and the commands of its figures, and what their words stand for."""
    lines = []
    for name, what in benchmarks().items():
        lines.append(f"{name}: {what}")
        lines += [
            f"    {one.command}   -> {file}"
            for file, one in FIGURES.items()
            if one.benchmark == name
        ]
    lines += ["", "In these commands:"]
    lines += [
        f"    {word}: {what} (FOLDER/{place} with --data FOLDER)"
        for word, (place, what) in DATA.items()
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="files of figures; else all")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="run them and write their figures there"
    )
    parser.add_argument(
        "--data", type=Path, default=Path(), metavar="FOLDER", help="what the commands are given"
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
            print(f"{name} is left out, there is no {lacking[0]}.", file=sys.stderr)
            continue
        place = chosen.into / name
        files = ["--json", f"{place}.json", "--picture", f"{place}.svg"]
        command = ["-m", f"benchmarks.{figures.benchmark}", *filled(figures, chosen.data), *files]
        if subprocess.run([sys.executable, *command], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"These have failed: {', '.join(failed)}.", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
