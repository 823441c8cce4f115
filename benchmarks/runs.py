"""Runs of pytest as a user starts it, and their cost."""

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
    """One finished pytest: wall and CPU seconds, exit status, and its output."""

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
    """Run pytest in `folder` without the settings of this user, by default with this Python.

    A run that takes more than `limit` seconds is killed; its status is None.
    """
    variables = {}
    for name, value in os.environ.items():
        if not name.startswith(("STARCODER_", "OLLAMA_", "PYTEST_", "PYTHON")):
            variables[name] = value
    variables |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}
    variables |= environment or {}
    command = [str(python or sys.executable), "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output = child.communicate(timeout=limit)[0]
        status: int | None = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output = child.communicate()[0]
        status = None
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, status, output)


def suite(folder: Path, tests: int, *, failing: bool = False) -> Path:
    """Create a small project in `folder`: a module and its tests, which all pass or all fail."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "pricing.py").write_text(
        "def mean(prices):\n    return sum(prices) / (len(prices) - 1)\n"
    )
    expected = 2.0 if failing else 3.0
    text = "from pricing import mean\n"
    for number in range(tests):
        text += f"\n\ndef test_mean_{number}():\n    assert mean([1, 2, 3]) == {expected}\n"
    (folder / "test_pricing.py").write_text(text)
    return folder


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
