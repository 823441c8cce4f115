"""Counts the cores that this process may use, for the threads of the embedded engine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

SYSTEM = Path("/sys")
"""Where Linux describes its processors and the limits of a container."""


def count_cores(system: Path = SYSTEM) -> int:
    """Return the physical cores that this process may use, at least one.

    Two threads of llama.cpp on one core are no faster than one. Where the system does not
    describe its cores, the processors are counted.
    """
    processors = _count_processors()
    if sys.platform == "darwin":
        cores = _cores_of_macos()
    else:
        cores = _cores_of_linux(system)
    limits = [limit for limit in (processors, cores, _quota(system)) if limit]
    return min(limits, default=1)


def _count_processors() -> int:
    """Return the processors that this process may use; 0 if that is unknown."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 0
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _cores_of_linux(system: Path) -> int:
    """Return the cores of the processors that this process may use; 0 if that is unknown."""
    if not hasattr(os, "sched_getaffinity"):
        return 0
    cores = set()
    for number in os.sched_getaffinity(0):
        topology = system / f"devices/system/cpu/cpu{number}/topology"
        try:
            cores.add((topology / "thread_siblings_list").read_text())
        except OSError:
            return 0
    return len(cores)


def _cores_of_macos() -> int:
    """Return the fast cores, or all of a machine whose cores are alike; 0 if that is unknown."""
    for name in ("hw.perflevel0.physicalcpu", "hw.physicalcpu"):
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            answer = subprocess.run(
                ["/usr/sbin/sysctl", "-n", name], capture_output=True, timeout=5, check=True
            )
            return int(answer.stdout)
    return 0


def _quota(system: Path) -> int:
    """Return the processors that a container may keep busy; 0 without a limit."""
    try:
        quota, period = (system / "fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # ValueError: "max"
        return 0
