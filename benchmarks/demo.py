"""Times the README's first command on a bare machine.

Installing into a new environment and running the demo are timed separately.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish
from pytest_starcoder.report.bar_chart import Bars


def main() -> None:
    arguments = options(__doc__).parse_args()
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as temporary:
        environment = {"PATH": "/usr/bin:/bin", "HOME": temporary, "TMPDIR": temporary}
        binaries = Path(temporary) / "venv" / "bin"
        times = [time.perf_counter()]
        for command in (
            [sys.executable, "-m", "venv", f"{temporary}/venv"],
            [f"{binaries}/pip", "install", "-q", f"{root}[demo]"],
        ):
            subprocess.run(command, check=True)
        times.append(time.perf_counter())
        subprocess.run([f"{binaries}/starcoder", "demo"], check=True, env=environment)
        times.append(time.perf_counter())
    install, run = times[1] - times[0], times[2] - times[1]
    rows = [
        Row("install into a new environment, s", f"{install:.1f}"),
        Row("starcoder demo, s", f"{run:.1f}"),
        Row("both, and this command, s", f"{install + run:.1f}", "< 120"),
    ]
    chart = Bars(
        "The README's first command, from nothing",
        "seconds; what pip has downloaded before is taken from its cache",
        ("seconds",),
        (("install", (round(install, 1),)), ("starcoder demo", (round(run, 1),))),
    )
    publish(Outcome("demo", rows, [chart], "gemma-3-270m"), arguments)


if __name__ == "__main__":
    main()
