"""The queue of commits to review, and its lock."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_starcoder.review import commit_queue as queue_module
from pytest_starcoder.review.commit_queue import (
    CommitQueue,
    Lock,
    shared_folder,
    write_atomically,
)

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def queue(tmp_path: Path) -> CommitQueue:
    return CommitQueue(str(tmp_path))


def test_commits_wait_in_their_order(queue: CommitQueue) -> None:
    for commit in (B, A, C, A):
        queue.add(commit, "/here", {"model": "m"})
    assert [waiting.hash for waiting in queue.commits()] == [B, A, C]
    first = queue.commits()[0]
    assert (first.folder, first.options, first.attempts) == ("/here", {"model": "m"}, 0)
    queue.remove(first)
    queue.remove(first)
    assert queue.hashes() == {A, C}


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '{"folder": "x", "options": {}, "attempts": null}']
)
def test_damaged_entry(queue: CommitQueue, content: str) -> None:
    queue.add(A, "/here", {})
    (path,) = (Path(queue.folder) / "queue").iterdir()
    path.write_text(content)
    (waiting,) = queue.commits()
    assert (waiting.hash, waiting.folder) == (A, "")


def test_files_are_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_atomically(str(path), "one")
    write_atomically(str(path), "two")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match=r"a\.json"):
        write_atomically(str(tmp_path / "a.json"), "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_worktrees_share_a_folder(tmp_path: Path) -> None:
    worktree = tmp_path / "worktrees" / "w"
    worktree.mkdir(parents=True)
    (worktree / "commondir").write_text("../..\n")
    assert shared_folder(str(worktree)) == str(tmp_path)
    assert shared_folder(str(tmp_path)) == str(tmp_path)


def test_one_holder_at_a_time(queue: CommitQueue) -> None:
    other = Lock(queue.lock.path)
    assert queue.lock.take()
    assert queue.lock.take()
    assert not other.take()
    queue.lock.release()
    assert other.take()
    other.release()


def test_killed_holder(queue: CommitQueue) -> None:
    code = (
        "import sys, time; from pytest_starcoder.review.commit_queue import Lock; "
        "lock = Lock(sys.argv[1]); lock.take(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, queue.lock.path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        assert not queue.lock.take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert queue.lock.take()
    queue.lock.release()


def test_a_file_system_without_locks(queue: CommitQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(queue_module, "_lock", refuse)
    assert queue.lock.take()
    queue.lock.release()
