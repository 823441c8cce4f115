"""Finds the process that listens on a port. Linux only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROCESSES = Path("/proc")

LISTENING = "0A"
"""State of a listening socket in the kernel's tables."""


def port_owner(port: int, processes: Path = PROCESSES) -> str:
    """Return the process outside this run that listens on a port, such as "python (PID 7)".

    Empty if there is none, if this process or a child of it listens there, or if the system
    does not say.
    """
    sockets = set(_listening(port, processes))
    for folder in processes.glob("[0-9]*"):
        if sockets.intersection(_sockets(folder)):
            if os.getpid() in _ancestors(int(folder.name), processes):
                return ""
            name = _read(folder / "comm").strip()
            return f"{name} (PID {folder.name})" if name else f"PID {folder.name}"
    return ""


def _listening(port: int, processes: Path) -> Iterator[str]:
    """Yield the sockets that listen on a port, as `/proc` names them."""
    for table in ("tcp", "tcp6"):
        for line in _read(processes / "net" / table).splitlines()[1:]:
            fields = line.split()
            local = fields[1].rpartition(":")[2]
            if fields[3] == LISTENING and int(local, 16) == port:
                yield f"socket:[{fields[9]}]"


def _sockets(folder: Path) -> Iterator[str]:
    """Yield the open files of a process; none if it belongs to another user."""
    try:
        descriptors = list((folder / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue  # closed in the meantime


def _ancestors(process: int, processes: Path) -> Iterator[int]:
    """Yield a process and its ancestors."""
    while process > 1:
        yield process
        # The name in parentheses may contain anything; the parent is the second field after it.
        fields = _read(processes / str(process) / "stat").rpartition(")")[2].split()
        process = int(fields[1]) if len(fields) > 1 else 0


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
