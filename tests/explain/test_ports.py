"""The process that listens on a port."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_starcoder.explain.ports import port_owner

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000  0 4711 1
"""


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """A process 77 that listens on port 8000, started by process 1."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TABLE.format(state="0A"))
    folder = tmp_path / "77"
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to("socket:[4711]")
    (folder / "comm").write_text("web server\n")
    (folder / "stat").write_text("77 (web (server)) S 1 77")
    return tmp_path


def test_owner(processes: Path) -> None:
    assert port_owner(8000, processes) == "web server (PID 77)"
    assert port_owner(8001, processes) == ""


def test_not_listening(processes: Path) -> None:
    (processes / "net" / "tcp").write_text(TABLE.format(state="01"))
    assert port_owner(8000, processes) == ""


def test_process_of_this_run(processes: Path) -> None:
    (processes / "77" / "stat").write_text(f"77 (web) S {os.getpid()} 77")
    assert port_owner(8000, processes) == ""


def test_no_process_file_system(tmp_path: Path) -> None:
    assert port_owner(8000, tmp_path) == ""
