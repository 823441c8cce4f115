"""The background review as git's own hooks run it: real commits, a rebase, a push, a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.repositories import DIVIDES, git, repository, staged
from support.reviews import COMMENT, comment
from support.servers import FakeOllama

from pytest_starcoder.review.commit_queue import CommitQueue

PROGRAM = str(Path(sys.executable).with_name("starcoder-review"))
FINDING = f"shop/pricing.py:6: error: {COMMENT}  (starcoder2:7b)"
HALVES = "def half(x, y):\n    return x / y\n"


@pytest.fixture
def model(ollama_double: FakeOllama) -> FakeOllama:
    ollama_double.answer, ollama_double.likelihood = comment, -0.1
    return ollama_double


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with the hook after commits and before pushes, and a remote."""
    folder = repository(tmp_path / "project")
    for name in ("post-commit", "pre-push"):
        path = folder / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec '{PROGRAM}' --background\n")
        path.chmod(0o755)
    git(tmp_path, "init", "--quiet", "--bare", str(tmp_path / "remote"))
    git(folder, "remote", "add", "origin", str(tmp_path / "remote"))
    return folder


def commit(folder: Path, files: dict[str, str], message: str) -> str:
    """Commit files and return what the user sees."""
    staged(folder, files)
    return run_git(folder, "commit", "--quiet", f"--message={message}")


def run_git(folder: Path, *arguments: str, status: int = 0) -> str:
    """Return what the user sees of a git command, which must exit with `status`."""
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def waiting(folder: Path) -> set[str]:
    return CommitQueue(str(folder / ".git")).hashes()


def settle(folder: Path) -> None:
    """Wait until no review process is running."""
    deadline = time.monotonic() + 60
    lock = CommitQueue(str(folder / ".git")).lock
    while not lock.take():
        assert time.monotonic() < deadline, "the review in the background does not end"
        time.sleep(0.05)
    lock.release()


@pytest.mark.usefixtures("model")
def test_commit_and_push(top: Path) -> None:
    assert commit(top, {"shop/pricing.py": DIVIDES}, "divide") == ""
    settle(top)
    shown = commit(top, {"other.py": "a = 1\n"}, "other")
    assert shown.count(FINDING) == 1
    assert "Reviewed in the background: " in shown
    assert "1 of 1 hunk reviewed, 1 finding, " in shown
    settle(top)
    shown = run_git(top, "push", "origin", "main", status=1)
    assert shown.count(FINDING) == 1
    assert f"other.py:1: error: {COMMENT}" in shown
    # Reported once: now the push goes through.
    assert FINDING not in run_git(top, "push", "origin", "main")
    assert git(top, "ls-remote", "origin", "main").startswith(git(top, "rev-parse", "HEAD").strip())


def test_rebase_has_one_worker(top: Path, model: FakeOllama) -> None:
    running, maximum, lock = 0, 0, threading.Lock()

    def answer(prompt: str) -> str:
        nonlocal running, maximum
        with lock:
            running += 1
            maximum = max(maximum, running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return comment(prompt)

    model.answer = answer
    git(top, "checkout", "--quiet", "-b", "feature")
    for number in range(3):
        commit(top, {f"m{number}.py": HALVES}, f"number {number}")
    git(top, "checkout", "--quiet", "main")
    commit(top, {"base.py": "a = 1\n"}, "base")
    git(top, "checkout", "--quiet", "feature")
    run_git(top, "rebase", "main")
    settle(top)
    assert maximum == 1
    prompts = model.prompts()
    assert len(prompts) == len(set(prompts))
    assert waiting(top) == set()
    titles = ""
    for folder in ("new", "shown"):
        for path in (top / ".git/starcoder/background" / folder).glob("*.json"):
            titles += json.loads(path.read_text())["title"]
    assert all(f"number {number}" in titles for number in range(3))


def test_killed_worker_is_replaced(top: Path, model: FakeOllama) -> None:
    model.delay = 30.0
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    deadline = time.monotonic() + 20
    while not model.asked() and time.monotonic() < deadline:
        time.sleep(0.05)
    (process,) = workers(top)
    os.kill(process, signal.SIGKILL)
    settle(top)
    model.delay = 0.0
    assert len(waiting(top)) == 1
    commit(top, {"other.py": "a = 1\n"}, "other")
    settle(top)
    assert FINDING in commit(top, {"third.py": "a = 1\n"}, "third")
    settle(top)


def workers(folder: Path) -> list[int]:
    """Return the processes that review in a repository, from /proc."""
    if not Path("/proc").is_dir():
        pytest.skip("processes are not files here")
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_here = (process / "cwd").readlink() == folder / ".git/starcoder/background"
            if is_here and b"background_worker" in (process / "cmdline").read_bytes():
                processes.append(int(process.name))
        except OSError:
            continue
    return processes


def test_subcommand(top: Path, model: FakeOllama) -> None:
    model.delay = 4.0
    program = str(Path(PROGRAM).with_name("starcoder"))
    command = [program, "review", "--background", "--starcoder-model=starcoder2:7b"]
    subprocess.run(command, cwd=top, check=True, stdin=subprocess.DEVNULL)
    assert len(waiting(top)) == 1
    (process,) = workers(top)
    os.kill(process, signal.SIGKILL)
