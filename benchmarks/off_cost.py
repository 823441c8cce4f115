"""Measures what the plugin costs a run of pytest in which it is installed and off.

Modules are counted after the whole run, terminal summary included. CPU seconds of `--collect-only`
are compared in interleaved pairs: with the plugin off, and disabled by `-p no:starcoder`. The order
within a pair alternates.

With `--rivals FOLDER`, ours, failscope and pytest-triage are each installed into an environment of
its own there. The reference is an environment with only pytest. The same `--collect-only` runs in
all of them, with everything off, in interleaved rounds.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.explainers import OURS, PYTEST, RIVALS, install, rivals_option
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.rivals import environment
from benchmarks.runs import Run, median, pytest, suite
from pytest_starcoder.report.bar_chart import Bars

COUNTER = """
import json, pathlib, sys

def pytest_unconfigure(config):
    import atexit

    def write():
        text = json.dumps(sorted(sys.modules))
        pathlib.Path("modules.json").write_text(text)

    atexit.register(write)
"""


def modules(folder: Path, *arguments: str) -> set[str]:
    pytest(folder, *arguments)
    return set(json.loads((folder / "modules.json").read_text()))


def seconds(folder: Path, pythons: Mapping[str, Path], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of `--collect-only` by interpreter; each is first in turn."""
    names = list(pythons)
    times: dict[str, list[float]] = {name: [] for name in names}
    for python in pythons.values():
        # The first run also compiles modules.
        pytest(folder, "--collect-only", "-q", python=python)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(pytest(folder, "--collect-only", "-q", python=pythons[name]).cpu)
    return times


def beside_rivals(folder: Path, rivals: Path, rounds: int) -> tuple[list[Row], Bars]:
    """Compare the tools with pytest alone. Raises NotInstalled if pytest cannot be installed."""
    bare = environment(rivals.absolute(), "pytest", [PYTEST])
    tools, missing = install(rivals, (OURS, *RIVALS))
    pythons = {"pytest alone": bare}
    pythons.update((tool.name, tool.python) for tool in tools)
    times = seconds(folder, pythons, rounds)
    reference = median(times["pytest alone"])
    ratios = {tool.name: median(times[tool.name]) / reference for tool in tools}
    rows = [
        Row(
            f"{PYTEST.replace('==', ' ')} alone, CPU s of collect-only, median of {rounds} rounds",
            f"{reference:.3f}",
        ),
        *[
            Row(
                f"{name}, installed and off: CPU, ratio of the medians",
                f"{ratio:.3f}",
                "<= 1.02" if name == OURS.name else "",
            )
            for name, ratio in ratios.items()
        ],
        *missing,
    ]
    chart = Bars(
        "CPU of pytest --collect-only, the tool installed and off, compared with pytest alone",
        f"ratio of the medians of {rounds} interleaved rounds",
        ("ratio",),
        tuple((name, (round(ratio, 3),)) for name, ratio in ratios.items()),
        bound=1.02,
        highlighted=frozenset({OURS.name}),
    )
    return rows, chart


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument(
        "--rounds", type=int, default=20, help="rounds with all environments, with --rivals"
    )
    parser.add_argument("--tests", type=int, default=500)
    rivals_option(parser)
    arguments = parser.parse_args()
    started = time.perf_counter()
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
        beside = (
            beside_rivals(folder, arguments.rivals, arguments.rounds) if arguments.rivals else None
        )
    rows = [
        Row("modules added when off", f"{len(added)} ({', '.join(sorted(added))})", "<= 2"),
        Row("CPU of collect-only, kept out, median s", f"{median(out):.3f}"),
        Row("CPU of collect-only, off, median s", f"{median(off):.3f}"),
        Row(f"ratio, median of {arguments.pairs} pairs", f"{median(ratios):.4f}", "<= 1.02"),
        Row("ratio of the medians", f"{median(off) / median(out):.4f}", "<= 1.02"),
        Row("ratio of the minima", f"{min(off) / min(out):.4f}", "<= 1.02"),
    ]
    chart = Bars(
        "CPU of pytest --collect-only, the plugin off, compared with disabled",
        "ratio, median of interleaved pairs",
        ("ratio",),
        (("pytest-starcoder", (round(median(ratios), 3),)),),
        bound=1.02,
    )
    if beside:
        rows, chart = [*rows, *beside[0]], beside[1]
    publish(Outcome("off_cost", [*rows, wall_time(started)], [chart]), arguments)


if __name__ == "__main__":
    main()
