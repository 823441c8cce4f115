"""What the plugin costs a run of pytest in which it is installed and off.

Modules are counted after the whole run, terminal summary included. CPU seconds
of `--collect-only` are compared in interleaved pairs, each with the plugin off
and with it kept out (`-p no:starcoder`); the order within a pair alternates.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish
from benchmarks.runs import Run, median, pytest, suite
from pytest_starcoder.report.bars import Bars

COUNTER = """
import json, pathlib, sys

def pytest_unconfigure(config):
    import atexit
    atexit.register(lambda: pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules))))
"""


def modules(folder: Path, *arguments: str) -> set[str]:
    pytest(folder, *arguments)
    return set(json.loads((folder / "modules.json").read_text()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--tests", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        counted = suite(Path(temporary) / "counted", 1, failing=True)
        (counted / "conftest.py").write_text(COUNTER)
        added = modules(counted) - modules(counted, "-p", "no:starcoder")
        folder = suite(Path(temporary) / "timed", arguments.tests)
        ratios, off, out = [], [], []
        for number in range(arguments.pairs):
            pair: dict[bool, Run] = {}
            for kept_out in (bool(number % 2), not number % 2):
                flags = ("-p", "no:starcoder") if kept_out else ()
                pair[kept_out] = pytest(folder, "--collect-only", "-q", *flags)
            off.append(pair[False].cpu)
            out.append(pair[True].cpu)
            ratios.append(pair[False].cpu / pair[True].cpu)
    rows = [
        Row("modules added when off", f"{len(added)} ({', '.join(sorted(added))})", "<= 2"),
        Row("CPU of collect-only, kept out, median s", f"{median(out):.3f}"),
        Row("CPU of collect-only, off, median s", f"{median(off):.3f}"),
        Row(f"ratio, median of {arguments.pairs} pairs", f"{median(ratios):.4f}", "<= 1.02"),
        Row("ratio of the medians", f"{median(off) / median(out):.4f}", "<= 1.02"),
        Row("ratio of the minima", f"{min(off) / min(out):.4f}", "<= 1.02"),
    ]
    chart = Bars(
        "CPU of pytest --collect-only, the plugin off, against without it",
        "ratio, median of interleaved pairs",
        ("ratio",),
        (("pytest-starcoder", (round(median(ratios), 3),)),),
        bound=1.02,
    )
    publish(Outcome("off_cost", rows, [chart]), arguments)


if __name__ == "__main__":
    main()
