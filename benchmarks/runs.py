"""Running pytest as a user does, and what it cost."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One finished pytest: wall and CPU seconds, exit status, and what it printed."""

    wall: float
    cpu: float
    status: int | None
    output: str


def pytest(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    python: Path | None = None,
    limit: float | None = None,
) -> Run:
    """Runs pytest in `folder`, with none of the user's own settings; with `python`'s where it is given.

    A run that takes more than `limit` seconds is killed; its status is None.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STARCODER_", "OLLAMA_", "PYTEST_", "PYTHON"))
    }
    own |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    running = subprocess.Popen(
        [str(python or sys.executable), "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**own, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, status = running.communicate(timeout=limit)[0], running.returncode
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        output, status = running.communicate()[0], None
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, status, output)


def suite(folder: Path, tests: int, *, failing: bool = False) -> Path:
    """A small project in `folder`: a module, and tests of it that pass, or fail if `failing`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "pricing.py").write_text(
        "def mean(prices):\n    return sum(prices) / (len(prices) - 1)\n"
    )
    expected = 2.0 if failing else 3.0
    body = "".join(
        f"\n\ndef test_mean_{n}():\n    assert mean([1, 2, 3]) == {expected}\n"
        for n in range(tests)
    )
    (folder / "test_pricing.py").write_text(f"from pricing import mean\n{body}")
    return folder


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
