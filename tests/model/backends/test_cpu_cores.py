"""Counting cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_starcoder.model.backends.cpu_cores import count_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says")


def describe(system: Path, siblings: list[str], quota: str = "") -> Path:
    """Write what Linux says: the processors that share a core, for each, and the limit."""
    for number, processors in enumerate(siblings):
        topology = system / f"devices/system/cpu/cpu{number}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{processors}\n")
    if quota:
        (system / "fs/cgroup").mkdir(parents=True)
        (system / "fs/cgroup/cpu.max").write_text(f"{quota}\n")
    return system


def allow(monkeypatch: pytest.MonkeyPatch, *processors: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(processors))
    monkeypatch.setattr(os, "process_cpu_count", lambda: len(processors), raising=False)


@linux
@pytest.mark.parametrize(
    ("siblings", "allowed", "quota", "cores"),
    [
        (["0", "1"], [0, 1], "", 2),
        (["0,2", "1,3", "0,2", "1,3"], [0, 1, 2, 3], "", 2),
        (["0,2", "1,3", "0,2", "1,3"], [1, 3], "", 1),
        (["0", "1", "2", "3"], [0, 1, 2, 3], "200000 100000", 2),
        (["0", "1", "2", "3"], [0, 1, 2, 3], "50000 100000", 1),
        (["0", "1", "2", "3"], [0, 1, 2, 3], "max 100000", 4),
        ([], [0, 1, 2], "", 3),
    ],
    ids=["plain", "hyperthreads", "affinity", "quota", "half", "no-quota", "unknown"],
)
def test_cores_of_linux(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    siblings: list[str],
    allowed: list[int],
    quota: str,
    cores: int,
) -> None:
    allow(monkeypatch, *allowed)
    assert count_cores(describe(tmp_path, siblings, quota)) == cores


@pytest.mark.parametrize(
    ("answers", "cores"),
    [
        ({"hw.perflevel0.physicalcpu": b"4\n", "hw.physicalcpu": b"8\n"}, 4),
        ({"hw.physicalcpu": b"2\n"}, 2),
        ({}, 6),
    ],
    ids=["fast", "alike", "unknown"],
)
def test_cores_of_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, bytes], cores: int
) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        name = command[-1]
        if name not in answers:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, 0, answers[name])

    allow(monkeypatch, *range(6))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert count_cores(tmp_path) == cores


def test_unknown_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(os, "process_cpu_count", lambda: None, raising=False)
    assert count_cores(tmp_path) == 1
