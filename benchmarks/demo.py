"""Times the README's first command on a bare machine.

Installing into a new environment and running the demo are timed separately, and so are the first
words of `why`, from pytest's own report of the failures on, and the second of its two causes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
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
        first_words, second_cause = run_demo(binaries / "starcoder", environment)
        times.append(time.perf_counter())
    install, run = times[1] - times[0], times[2] - times[1]
    rows = [
        Row("install into a new environment, s", f"{install:.1f}"),
        Row("starcoder demo, s", f"{run:.1f}"),
        Row("from pytest's report to the first words of why, s", f"{first_words:.1f}", "<= 15"),
        Row("the second cause, from the end of the first, s", f"{second_cause:.1f}", "<= 12"),
        Row("both, and this command, s", f"{install + run:.1f}", "<= 180"),
    ]
    chart = Bars(
        "The README's first command, from nothing",
        "seconds; what pip has downloaded before is taken from its cache",
        ("seconds",),
        (("install", (round(install, 1),)), ("starcoder demo", (round(run, 1),))),
    )
    publish(Outcome("demo", rows, [chart]), arguments)


def run_demo(program: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run and show the demo; return two durations in seconds.

    They are from pytest's report to the first words of `why`, and those of the second cause. A
    cause ends with its line `rerun`.
    """
    variables = {**environment, "PYTHONUNBUFFERED": "1"}
    milestones = [(b"= FAILURES =", 1), (b" why ", 1), (b" rerun ", 1), (b" rerun ", 2)]
    times: list[float] = []
    with subprocess.Popen([program, "demo"], env=variables, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        output = b""
        while piece := os.read(child.stdout.fileno(), 4096):
            output += piece
            sys.stdout.write(piece.decode("utf-8", "replace"))
            while len(times) < len(milestones):
                text, count = milestones[len(times)]
                if output.count(text) < count:
                    break
                times.append(time.perf_counter())
    if child.returncode or len(times) < len(milestones):
        raise SystemExit(f"The demo ended with {child.returncode}.")
    failures, first_words, first_end, second_end = times
    return first_words - failures, second_end - first_end


if __name__ == "__main__":
    main()
