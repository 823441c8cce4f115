"""Measures what importing the package costs, compared with an empty package.

Each import is timed in a new interpreter; figures are medians of interleaved runs. The libraries
that the import loads are counted too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars

OTHER_BACKENDS = {
    f"pytest_starcoder.model.backends.{name}"
    for name in ("openai", "huggingface", "embedded", "llamacpp")
}

HEAVY = ("requests", "urllib3", "git", "dotenv", "pluggy", "pytest", "xllamacpp")


def seconds(code: str, path: str) -> float:
    """Return the wall seconds of a new interpreter that runs `code` with this PYTHONPATH."""
    started = time.perf_counter()
    environment = {"PYTHONPATH": path}
    for name, value in os.environ.items():
        if not name.startswith("PYTHON"):
            environment[name] = value
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - started


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=60)
    chosen = parser.parse_args()
    started = time.perf_counter()
    import pytest_starcoder

    ours = str(Path(pytest_starcoder.__file__).parents[1])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty_package").mkdir()
        (Path(folder) / "empty_package" / "__init__.py").touch()
        for warm in ("import empty_package", "import pytest_starcoder"):
            seconds(warm, f"{folder}:{ours}")
        pairs = []
        for number in range(chosen.repeats):
            runs = [
                ("import empty_package", f"{folder}:{ours}"),
                ("import pytest_starcoder", f"{ours}:{folder}"),
            ]
            order = (0, 1) if number % 2 else (1, 0)  # neither is always the first
            walls = {index: seconds(*runs[index]) for index in order}
            pairs.append((walls[0], walls[1]))
    empty = median([pair[0] for pair in pairs])
    package = median([pair[1] for pair in pairs])
    ratio = median([pair[1] / pair[0] for pair in pairs])
    loaded = f"import sys, pytest_starcoder; print(len(set({HEAVY!r}) & set(sys.modules)))"
    backends = (
        "import sys, pytest_starcoder.model.backends.ollama; "
        f"print(*sorted({OTHER_BACKENDS!r} & sys.modules.keys()))"
    )
    rows = [
        Row("import of an empty package", f"{1000 * empty:.1f} ms"),
        Row("import of pytest_starcoder", f"{1000 * package:.1f} ms"),
        Row("ratio, median of pairs", f"{ratio:.3f}", "<= 1.1"),
        Row("libraries it brings along", printed(loaded), "0"),
        Row("other backends with Ollama's", printed(backends) or "none", "none"),
        wall_time(started),
    ]
    chart = Bars(
        "A new interpreter that imports the package, compared with an empty package",
        f"ratio of wall seconds, median of {chosen.repeats} interleaved pairs",
        ("ratio",),
        (("pytest_starcoder", (round(ratio, 3),)),),
        bound=1.1,
    )
    publish(Outcome("import_cost", rows, [chart]), chosen)


if __name__ == "__main__":
    main()
