"""git as it is run for hooks and for the user's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import git, repository

from pytest_starcoder.source.git.command import git_output, run


@pytest.fixture(params=["spawn", "subprocess"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run git with `posix_spawn`, and as on platforms without it."""
    if request.param == "subprocess":
        monkeypatch.delattr(os, "posix_spawnp", raising=False)


@pytest.mark.usefixtures("way")
def test_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = repository(tmp_path)
    monkeypatch.chdir(top)
    assert git_output("rev-parse", "HEAD") == git(top, "rev-parse", "HEAD")
    assert git_output("rev-parse", "--verify", "--quiet", "missing") is None


@pytest.mark.usefixtures("way")
def test_exit_status(tmp_path: Path) -> None:
    top = repository(tmp_path)
    assert run("cat-file", "-e", "HEAD:missing", folder=top) == (128, b"")
    assert run("diff", "--quiet", "HEAD", folder=top) == (0, b"")


@pytest.mark.usefixtures("way")
def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run("status") is None
    assert git_output("status") is None


def test_timeout(tmp_path: Path) -> None:
    top = repository(tmp_path)
    git(top, "config", "alias.wait", "!sleep 5")
    assert run("wait", folder=top, timeout=0.2) is None


def test_null_character(tmp_path: Path) -> None:
    assert run("log", "\0", folder=tmp_path, timeout=5.0) is None


def test_light_imports() -> None:
    code = (
        "import sys, pytest_starcoder.source.git.command, pytest_starcoder.atomic_write; "
        "print(*{'subprocess', 'pathlib', 'typing', 'git'} & {*sys.modules})"
    )
    command = [sys.executable, "-S", "-I", "-c", f"import sys; sys.path[:0] = {sys.path}; {code}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
