"""The commits at which tests passed, in a file of the cache folder."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_starcoder.session import passed_commits
from pytest_starcoder.session.passed_commits import PassedCommits

FIRST, SECOND = "1" * 40, "2" * 64


def only_file(folder: Path) -> Path:
    [file] = (folder / "passed").iterdir()
    return file


def test_later_runs_keep_older_entries(tmp_path: Path) -> None:
    commits = PassedCommits(tmp_path, Path("/project"))
    assert commits.read() == {}
    commits.add(["a", "b"], FIRST)
    commits.add(["b", "c"], SECOND)
    assert PassedCommits(tmp_path, Path("/project")).read() == {
        "a": FIRST,
        "b": SECOND,
        "c": SECOND,
    }
    assert PassedCommits(tmp_path, Path("/other")).read() == {}


def test_latest_entries_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed_commits, "MAX_TESTS", 2)
    commits = PassedCommits(tmp_path, Path("/project"))
    commits.add(["a", "b"], FIRST)
    commits.add(["c", "a"], SECOND)
    assert commits.read() == {"c": SECOND, "a": SECOND}


def test_without_a_folder(tmp_path: Path) -> None:
    commits = PassedCommits(None, tmp_path)
    commits.add(["a"], FIRST)
    assert commits.read() == {}
    assert not list(tmp_path.iterdir())


def test_file_is_private(tmp_path: Path) -> None:
    PassedCommits(tmp_path / "cache", Path("/project")).add(["a"], FIRST)
    file = only_file(tmp_path / "cache")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": 1}', b'{"a": "--all"}']
)
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    commits = PassedCommits(tmp_path, Path("/project"))
    commits.add(["a"], FIRST)
    only_file(tmp_path).write_bytes(content)
    assert commits.read() == {}
    commits.add(["b"], SECOND)
    assert commits.read() == {"b": SECOND}


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "passed").write_text("a file")
    commits = PassedCommits(tmp_path, Path("/project"))
    commits.add(["a"], FIRST)
    assert commits.read() == {}


def test_names_with_any_characters(tmp_path: Path) -> None:
    commits = PassedCommits(tmp_path, Path("/pro\udcffject"))
    names = ["test_a.py::test[\udcff]", "test_ü.py::test[\n]", "test_a.py::test[\0]"]
    commits.add(names, FIRST)
    assert dict(commits.read()) == dict.fromkeys(names, FIRST)


def test_concurrent_runs(tmp_path: Path) -> None:
    def run(number: int) -> None:
        PassedCommits(tmp_path, Path("/project")).add([f"test {number}"] * 50, FIRST)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(40)))
    file = only_file(tmp_path)
    assert set(json.loads(file.read_bytes()).values()) == {FIRST}
    assert [path for path in file.parent.iterdir() if path != file] == []
