"""What commits did to a file, in real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import committed, git, repository, written

from pytest_starcoder.source.git.file_changes import FileChange, FileChanges

LONG = "".join(f"line {number}\n" for number in range(20))


def first_commit(folder: Path) -> str:
    return git(folder, "rev-list", "--max-parents=0", "HEAD").strip()


def test_newest_first(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n", "other.py": "a\n"})
    second = committed(folder, {"shop.py": "b\r\n"}, "second")
    committed(folder, {"other.py": "b\n"}, "other")
    third = committed(folder, {"shop.py": "c\n"}, "third")
    history = FileChanges(folder)
    expected = [FileChange(third, "b\n", "c\n"), FileChange(second, "a\n", "b\n")]
    first = first_commit(folder)
    assert history.since(first, folder / "shop.py") == expected
    assert history.since(second, folder / "shop.py") == expected[:1]
    written(folder, {"shop.py": "d\n"})
    working = FileChange("", "c\n", "d\n")
    assert history.since(first, folder / "shop.py") == [working, *expected]
    assert history.subject(third) == f"{third[:7]} third"


def test_new_and_deleted_files(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"old.py": "a\n"})
    second = committed(folder, {"new.py": "a\n"}, "second")
    (folder / "old.py").unlink()
    third = committed(folder, {}, "third")
    history, first = FileChanges(folder), first_commit(folder)
    assert history.since(first, folder / "new.py") == [FileChange(second, "", "a\n")]
    assert history.since(first, folder / "old.py") == [FileChange(third, "a\n", "")]
    assert history.since(first, folder / "never.py") == []


def test_renamed_file(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"lib/old name.py": LONG})
    edited = LONG.replace("line 3", "line three")
    second = committed(folder, {"lib/old name.py": edited}, "second")
    git(folder, "mv", "lib/old name.py", "lib/new.py")
    again = edited.replace("line 9", "line nine")
    third = committed(folder, {"lib/new.py": again}, "third")
    for root in (folder, folder / "lib"):
        assert FileChanges(root).since(first_commit(folder), folder / "lib" / "new.py") == [
            FileChange(third, edited, again),
            FileChange(second, LONG, edited),
        ]


def test_merged_branch(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": LONG})
    first = first_commit(folder)
    git(folder, "checkout", "--quiet", "-b", "topic")
    topic = committed(folder, {"shop.py": LONG.replace("line 2\n", "topic\n")}, "topic")
    git(folder, "checkout", "--quiet", "main")
    main = committed(folder, {"shop.py": LONG.replace("line 15\n", "main\n")}, "main")
    git(folder, "merge", "--quiet", "--no-edit", "topic")
    changes = FileChanges(folder).since(first, folder / "shop.py")
    assert {topic, main} <= {change.commit for change in changes}


def test_unreadable_texts(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n"})
    second = committed(folder, {"shop.py": "\0"}, "second")
    [change] = FileChanges(folder).since(first_commit(folder), folder / "shop.py")
    assert change == FileChange(second, "a\n", "")


@pytest.mark.parametrize("is_missing", [True, False])
def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_missing: bool) -> None:
    if is_missing:
        repository(tmp_path, {"shop.py": "a\n"})
        monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    history = FileChanges(tmp_path)
    assert history.since("HEAD", tmp_path / "shop.py") in ([], [FileChange("", "", "a\n")])
    assert history.subject("HEAD") == ""
