"""What the working tree is compared with, in real repositories."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.repositories import committed, git, repository, written

from pytest_starcoder.culprit.comparisons import MAX_CHANGED_LINES, Changes, Repositories
from pytest_starcoder.explain.breakage import BrokenBy
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.project import Project

LONG = "".join(f"value_{number} = {number}\n" for number in range(10))


def repositories(
    folder: Path, environment: Mapping[str, str] | None = None, root: str = ""
) -> Repositories:
    project = Project(folder / root, (folder,)) if root else Project(folder)
    return Repositories(project, Conventions(), environment=environment or {})


def compared(
    folder: Path,
    passed: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
) -> list[tuple[str, str]]:
    """Return the names of the states that are compared with, and the subjects of their commits."""
    names = []
    for changes in repositories(folder, environment).comparisons(passed=passed):
        subject = git(folder, "log", "-1", "--format=%s", changes.commit).strip()
        names.append((changes.since, subject))
    return names


def first_changes(folder: Path, root: str = "") -> Changes:
    return next(repositories(folder, root=root).comparisons())


def diffs(changes: Changes) -> dict[str, list[str]]:
    return {file.path: [piece.diff for piece in file.pieces] for file in changes.files}


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A repository with two commits on main and three on the current branch."""
    folder = repository(tmp_path / "project", {"shop.py": LONG})
    committed(folder, {"shop.py": LONG + "a = 1\n"}, "second")
    git(folder, "checkout", "--quiet", "-b", "topic")
    for number in (1, 2, 3):
        committed(folder, {"shop.py": LONG + f"a = {10 * number}\n"}, f"topic {number}")
    return folder


# --- what is compared ---


def test_branch(branch: Path) -> None:
    assert compared(branch) == [("the last commit", "topic 3"), ("main", "second")]


def test_main_branch(branch: Path) -> None:
    git(branch, "checkout", "--quiet", "main")
    assert compared(branch) == [("the last commit", "second")]


def test_commits_where_tests_passed(branch: Path) -> None:
    first, second = git(branch, "rev-parse", "topic~4", "topic~1").split()
    assert compared(branch, [second]) == [
        ("the last commit", "topic 3"),
        (f"{second[:7]}, where it last passed", "topic 2"),
        ("main", "second"),
    ]
    # Each failing test has passed at another commit.
    assert compared(branch, [first, second, second]) == [
        ("the last commit", "topic 3"),
        (f"{second[:7]}, where tests last passed", "topic 2"),
        (f"{first[:7]}, where tests last passed", "first"),
        ("main", "second"),
    ]


def test_commits_that_are_no_help(branch: Path) -> None:
    git(branch, "checkout", "--quiet", "-b", "other", "main")
    other = committed(branch, {"shop.py": "other = 1\n"}, "other")
    git(branch, "checkout", "--quiet", "topic")
    [head] = git(branch, "rev-parse", "HEAD").split()
    assert compared(branch, [other, head, "0" * 40]) == compared(branch)


def test_too_many_commits_ago(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a = 1\n"})
    first = git(folder, "rev-parse", "HEAD").strip()
    for number in range(51):
        tree = git(folder, "rev-parse", "HEAD^{tree}").strip()
        commit = git(folder, "commit-tree", tree, "-p", "HEAD", "-m", str(number)).strip()
        git(folder, "update-ref", "HEAD", commit)
        if number == 49:
            assert len(compared(folder, [first])) == 2
    assert len(compared(folder, [first])) == 1


def test_chosen_commit(branch: Path) -> None:
    [changes] = repositories(branch).comparisons(since="HEAD~2", passed=["main"])
    assert changes.since == "HEAD~2"
    assert diffs(changes) == {"shop.py": ["-a = 10\n+a = 30"]}


@pytest.mark.parametrize("make", ["nothing", "empty"])
def test_without_commits(tmp_path: Path, make: str) -> None:
    if make == "empty":
        git(tmp_path, "init", "--quiet")
    written(tmp_path, {"shop.py": "a = 1\n"})
    assert list(repositories(tmp_path).comparisons()) == []
    assert not repositories(tmp_path).is_shallow


def test_detached_head(branch: Path) -> None:
    git(branch, "checkout", "--quiet", "--detach")
    assert compared(branch) == [("the last commit", "topic 3"), ("main", "second")]


def test_merge_in_a_branch(branch: Path) -> None:
    git(branch, "checkout", "--quiet", "main")
    committed(branch, {"other.py": "b = 1\n"}, "third")
    git(branch, "checkout", "--quiet", "topic")
    git(branch, "merge", "--quiet", "--no-edit", "main")
    assert compared(branch)[1:] == [("the commit before the merge", "topic 3"), ("main", "third")]


# --- in CI ---


def test_merge_of_a_pull_request(branch: Path) -> None:
    git(branch, "checkout", "--quiet", "--detach", "main")
    git(branch, "merge", "--quiet", "--no-ff", "--message=merged", "topic")
    git(branch, "branch", "--quiet", "--delete", "--force", "main", "topic")
    assert compared(branch) == [("the last commit", "merged"), ("the target branch", "second")]
    *_, changes = repositories(branch).comparisons()
    piece = changes.files[0].pieces[0]
    broken = BrokenBy(piece.path, piece.line, piece.last, piece.diff)
    assert repositories(branch).commit_of(changes, broken).endswith(" topic 3")


def test_head_of_a_pull_request(branch: Path) -> None:
    clone = branch.parent / "clone"
    git(branch.parent, "clone", "--quiet", str(branch), str(clone))
    git(clone, "checkout", "--quiet", "--detach", "origin/topic")
    git(clone, "branch", "--quiet", "--delete", "--force", "topic")
    git(clone, "remote", "set-head", "origin", "--delete")
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_BASE_REF": "main"}
    assert compared(clone, environment=variables)[1:] == [("the target branch", "second")]


def push(branch: Path, content: object) -> dict[str, str]:
    """Return the variables of a run for a push to the current branch."""
    event = branch.parent / "event.json"
    event.write_text(json.dumps(content))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_BASE_REF": "",
    }


def test_push_of_several_commits(branch: Path) -> None:
    git(branch, "branch", "--move", "--force", "topic", "main")
    before = git(branch, "rev-parse", "HEAD~2").strip()
    variables = push(branch, {"before": before, "after": "0" * 40})
    assert compared(branch, environment=variables)[1:] == [("the last push", "topic 1")]
    assert compared(branch) == [("the last commit", "topic 3")]
    other = {**variables, "GITHUB_EVENT_NAME": "schedule"}
    assert len(compared(branch, environment=other)) == 1


@pytest.mark.parametrize(
    "content", [{"before": "0" * 40}, {"before": None}, {"before": "--all"}, [], {}]
)
def test_push_of_a_new_branch(branch: Path, content: object) -> None:
    assert compared(branch, environment=push(branch, content)) == compared(branch)


def test_unreadable_event(branch: Path) -> None:
    variables = push(branch, {})
    Path(variables["GITHUB_EVENT_PATH"]).write_bytes(b"\xff")
    assert compared(branch, environment=variables) == compared(branch)
    Path(variables["GITHUB_EVENT_PATH"]).unlink()
    assert compared(branch, environment=variables) == compared(branch)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CI_COMMIT_BEFORE_SHA", "the last push"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "the target branch"),
    ],
)
def test_gitlab(branch: Path, name: str, expected: str) -> None:
    git(branch, "branch", "--move", "--force", "topic", "main")
    commit = git(branch, "rev-parse", "HEAD~3").strip()
    variables = {"GITLAB_CI": "true", "CI_COMMIT_BEFORE_SHA": "0" * 40, name: commit}
    assert compared(branch, environment=variables)[1:] == [(expected, "second")]


def test_shallow_clone(branch: Path) -> None:
    clone = branch.parent / "clone"
    git(branch.parent, "clone", "--quiet", "--depth=1", f"file://{branch}", str(clone))
    before = git(branch, "rev-parse", "HEAD~2").strip()
    environment = push(branch, {"before": before})
    assert compared(clone, [before], environment) == [("the last commit", "topic 3")]
    assert repositories(clone).is_shallow


# --- pieces ---


def test_kinds_of_files(tmp_path: Path) -> None:
    names = ("shop.py", "tests/test_shop.py", "conftest.py", "prices.csv", "stub.pyi")
    repository(tmp_path, dict.fromkeys(names, "a = 1\n"))
    written(tmp_path, dict.fromkeys(names, "a = 2\n"))
    kinds = {file.path: file.kind for file in first_changes(tmp_path).files}
    assert kinds == {
        "shop.py": "code",
        "tests/test_shop.py": "test",
        "conftest.py": "test",
        "prices.csv": "data",
        "stub.pyi": "data",
    }


def test_code_beside_the_root(tmp_path: Path) -> None:
    repository(tmp_path, {"src/shop.py": "a = 1\n", "tests/test_shop.py": "b = 1\n"})
    written(tmp_path, {"src/shop.py": "a = 2\n", "tests/test_shop.py": "b = 2\n"})
    changes = first_changes(tmp_path, root="tests")
    assert diffs(changes) == {
        "../src/shop.py": ["-a = 1\n+a = 2"],
        "test_shop.py": ["-b = 1\n+b = 2"],
    }
    git(tmp_path, "commit", "--quiet", "--all", "--message=second")
    [*_, since] = repositories(tmp_path, root="tests").comparisons(since="HEAD~1")
    piece = BrokenBy("../src/shop.py", 1, 1, "-a = 1\n+a = 2")
    assert repositories(tmp_path, root="tests").commit_of(since, piece).endswith(" second")


def test_empty_files(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"old/__init__.py": "", "old/shop.py": "a = 1\n"})
    (folder / "old" / "__init__.py").unlink()
    written(folder, {"new/__init__.py": ""})
    files = {file.path: file for file in first_changes(folder).files}
    removed, added = files["old/__init__.py"], files["new/__init__.py"]
    assert (removed.undo(()), removed.undo(removed.pieces)) == (None, "")
    assert (added.undo(()), added.undo(added.pieces)) == ("", None)
    assert [piece.diff for piece in (*removed.pieces, *added.pieces)] == ["-", "+"]


def test_renamed_file(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"old.py": LONG})
    git(folder, "mv", "old.py", "new.py")
    written(folder, {"new.py": LONG.replace("value_3 = 3", "value_3 = 30")})
    found = diffs(first_changes(folder))
    assert found["new.py"] == ["-value_3 = 3\n+value_3 = 30"]
    assert len(found["old.py"]) == 1


def test_comments_and_layout_are_no_pieces(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a = [1, 2]\n", "same.py": "a = 1\n"})
    written(folder, {"shop.py": "# Prices.\na = [\n    1,\n    2,\n]\n", "same.py": "a = 1\r\n"})
    assert first_changes(folder).files == ()


def test_files_that_the_run_wrote(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a = 1\n"})
    written(folder, {"shop.py": "a = 2\n", "out.json": "{}\n"})
    started = (folder / "out.json").stat().st_mtime
    reading = Repositories(Project(folder), Conventions(), started=started)
    changes = next(reading.comparisons())
    assert "out.json (written by this run)" in changes.left_out


def test_too_many_changed_lines(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"a.py": "a = 1\n", "z.py": "a = 1\n"})
    generated = "".join(f"x{number} = {number}\n" for number in range(MAX_CHANGED_LINES))
    written(
        folder,
        {
            "a.py": "a = 2\n",
            "generated.py": generated + "last = 1\n",
            "data.csv": generated[:-100],
            "z.py": "a = 2\n",
        },
    )
    changes = first_changes(folder)
    assert list(diffs(changes)) == ["a.py", "z.py", "data.csv"]
    assert changes.left_out == (f"generated.py (beyond {MAX_CHANGED_LINES} changed lines)",)
    written(folder, {"b.py": generated[: len(generated) // 2]})
    # Code counts more than data.
    assert list(diffs(first_changes(folder))) == ["a.py", "b.py", "z.py"]


def test_large_files_are_compared_quickly(tmp_path: Path) -> None:
    rows = [f"{number % 7},{number % 5}\n" for number in range(60_000)]
    folder = repository(tmp_path, {"data.csv": "".join(rows), "new.csv": "".join(rows)})
    edited = list(rows)
    edited[10], edited[50_000] = "first\n", "second\n"
    written(folder, {"data.csv": "".join(edited), "new.csv": "".join(rows).upper() * 2})
    started = time.process_time()
    changes = first_changes(folder)
    assert time.process_time() - started < 5
    assert list(diffs(changes)) == ["data.csv"]


# --- the commit of a piece ---


def commit_of(folder: Path, piece: BrokenBy, base: str) -> str:
    [changes] = repositories(folder).comparisons(since=base)
    return repositories(folder).commit_of(changes, piece).partition(" ")[2]


@pytest.fixture
def series(tmp_path: Path) -> tuple[Path, str]:
    """A repository with three commits after the first one, and the hash of that."""
    folder = repository(tmp_path, {"shop.py": LONG})
    first = git(folder, "rev-parse", "HEAD").strip()
    text = LONG.replace("value_2 = 2\n", "value_2 = 20\n")
    committed(folder, {"shop.py": text}, "change")
    text = text.replace("value_5 = 5\n", "")
    committed(folder, {"shop.py": text}, "remove")
    text = text.replace("value_2 = 20\n", "value_2 = 21\n") + "other = 1\n"
    committed(folder, {"shop.py": text, "new.py": "a = 1\n"}, "change again")
    return folder, first


@pytest.mark.parametrize(
    ("piece", "subject"),
    [
        (BrokenBy("shop.py", 3, 3, "-value_2 = 2\n+value_2 = 21"), "change again"),
        (BrokenBy("shop.py", 6, 5, "-value_5 = 5"), "remove"),
        (BrokenBy("shop.py", 10, 10, "+other = 1"), "change again"),
        (BrokenBy("new.py", 1, 1, "+a = 1"), "change again"),
    ],
)
def test_commit_of_a_piece(series: tuple[Path, str], piece: BrokenBy, subject: str) -> None:
    assert commit_of(series[0], piece, series[1]) == subject


@pytest.mark.parametrize(
    ("last_passing", "subject"), [("2 = 2\n", "change"), ("2 = 20\n", "change again")]
)
def test_trials_decide_between_commits(
    series: tuple[Path, str], last_passing: str, subject: str
) -> None:
    folder, first = series
    piece = BrokenBy("shop.py", 3, 3, "-value_2 = 2\n+value_2 = 21")
    [changes] = repositories(folder).comparisons(since=first)
    text = repositories(folder).commit_of(
        changes, piece, lambda lines: lines[0].endswith(last_passing)
    )
    assert text.partition(" ")[2] == subject


def test_uncommitted_pieces(series: tuple[Path, str]) -> None:
    folder, first = series
    text = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text("import os\n" + text.replace("value_7 = 7", "value_7 = 70"))
    assert commit_of(folder, BrokenBy("shop.py", 8, 8, "-value_7 = 7\n+value_7 = 70"), first) == ""
    removed = BrokenBy("shop.py", 7, 6, "-value_5 = 5")
    assert commit_of(folder, removed, first) == "remove"
    changes = first_changes(folder)
    assert repositories(folder).commit_of(changes, removed) == ""
    assert repositories(folder).commit_of(replace(changes, commit=first), removed)


def test_commit_of_a_removed_file(series: tuple[Path, str]) -> None:
    folder, first = series
    (folder / "shop.py").unlink()
    committed(folder, {}, "remove file")
    diff = "\n".join(f"-{line}" for line in LONG.splitlines())
    assert commit_of(folder, BrokenBy("shop.py", 1, 0, diff), first) == "remove file"
