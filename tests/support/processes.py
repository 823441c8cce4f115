"""Lists running processes, for tests that check that none is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Return whether a process is running; unreaped zombies, as in a container, are not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not Path("/proc/self").exists()


def still_alive(pids: Iterable[int], seconds: float) -> list[int]:
    """Return the processes that have not ended within `seconds`."""
    until = time.monotonic() + seconds
    running = [pid for pid in pids if is_alive(pid)]
    while running and time.monotonic() < until:
        time.sleep(0.02)
        running = [pid for pid in running if is_alive(pid)]
    return running
