"""Working trees compared with commits, in real repositories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.repositories import committed, git, repository, written

from pytest_starcoder.source.git.comparison import (
    MAX_EXAMINED,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_LISTED,
    Comparer,
    Comparison,
)

Texts = dict[str, tuple[str | None, str | None]]

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

LONG = "".join(f"line {number}\n" for number in range(20))


def compare(folder: Path, commit: str = "HEAD") -> Comparison:
    comparer = Comparer(folder)
    return comparer.with_worktree(comparer.commit(commit))


def texts(comparison: Comparison, folder: Path) -> Texts:
    """Return the old and new texts by path."""
    return {
        file.path.relative_to(folder).as_posix(): (file.old, file.new) for file in comparison.files
    }


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the time and content of each file, those of git included."""
    state = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            state[str(path)] = (path.stat().st_mtime_ns, path.read_bytes())
    return state


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    """A repository with a change of every kind, and the comparison with its last commit."""
    folder = tmp_path_factory.mktemp("kinds") / "project"
    before = {
        "same.py": "a\n",
        "modified.py": "a\nb\n",
        "staged.py": "a\n",
        "deleted.py": "a\n",
        "removed from index.py": "a\n",
        "emptied.py": "a\n",
        "package/__init__.py": "",
        "renamed.py": LONG,
        "moved/plain.py": "a\n",
        "link.py": "a\n",
        "mode.py": "a\n",
        "binary.bin": "a\n",
        "latin.py": "a\n",
        "lfs.csv": POINTER,
        "crlf.py": "a\nb\n",
        "conflict.py": "a\n",
        "large.csv": "a\n",
        "ü 'quoted' \".py": "a\n",
        ".gitignore": "ignored.py\n",
    }
    repository(folder, before)
    after = {
        "modified.py": "a\nB\n",
        "staged.py": "A\n",
        "emptied.py": "",
        "untracked.py": "new\n",
        "new package/__init__.py": "",
        "ignored.py": "a\n",
        "added.py": "a\n",
        "renamed_too.py": LONG.replace("line 7", "line seven"),
        "elsewhere/plain.py": "a\n",
        "binary.bin": "a\0b\n",
        "latin.py": "\udce4\n",
        "lfs.csv": "a,b\n",
        "crlf.py": "a\r\nB\r\n",
        "conflict.py": "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n",
        "large.csv": "x" * (MAX_FILE_BYTES + 1),
        "ü 'quoted' \".py": "b\n",
        ".venv/lib/python3.12/site-packages/other.py": "a\n",
        "package/__pycache__/old.cpython-312.pyc": "a\0b\n",
        "nested/inner.py": "a\n",
    }
    written(folder, after)
    git(folder, "add", "staged.py", "added.py")
    git(folder, "rm", "--quiet", "--cached", "removed from index.py")
    for name in ("deleted.py", "package/__init__.py", "renamed.py", "moved/plain.py", "link.py"):
        (folder / name).unlink()
    (folder / "link.py").symlink_to("same.py")
    (folder / "mode.py").chmod(0o755)
    git(folder / "nested", "init", "--quiet")
    return folder, compare(folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("modified.py", ("a\nb\n", "a\nB\n")),
        ("staged.py", ("a\n", "A\n")),
        ("deleted.py", ("a\n", None)),
        ("emptied.py", ("a\n", "")),
        ("package/__init__.py", ("", None)),
        ("new package/__init__.py", (None, "")),
        ("untracked.py", (None, "new\n")),
        ("added.py", (None, "a\n")),
        ("crlf.py", ("a\nb\n", "a\nB\n")),
        ("ü 'quoted' \".py", ("a\n", "b\n")),
        ("renamed.py", (LONG, None)),
        ("renamed_too.py", (LONG, LONG.replace("line 7", "line seven"))),
        ("moved/plain.py", ("a\n", None)),
        ("elsewhere/plain.py", (None, "a\n")),
    ],
)
def test_compared_texts(
    every_kind: tuple[Path, Comparison], name: str, expected: tuple[str | None, str | None]
) -> None:
    folder, comparison = every_kind
    assert texts(comparison, folder)[name] == expected


def test_other_files_are_not_compared(every_kind: tuple[Path, Comparison]) -> None:
    folder, comparison = every_kind
    names = texts(comparison, folder)
    assert not names.keys() & {"same.py", "ignored.py", "removed from index.py", "mode.py"}
    assert not any("site-packages" in name or "nested" in name for name in names)
    assert len(names) == 14
    assert not any("__pycache__" in phrase for phrase in comparison.left_out)


def test_reasons_for_leaving_files_out(every_kind: tuple[Path, Comparison]) -> None:
    _, comparison = every_kind
    assert set(comparison.left_out) == {
        "binary.bin (binary)",
        "conflict.py (merge conflict)",
        "large.csv (too large)",
        "latin.py (not UTF-8)",
        "lfs.csv (stored in Git LFS)",
        "link.py (symbolic link or submodule)",
        "mode.py (only its mode changed)",
        "nested/ (no regular file)",
    }


def test_submodule(tmp_path: Path) -> None:
    library = repository(tmp_path / "library", {"inner.py": "a\n"})
    folder = repository(tmp_path / "project", {"outer.py": "a\n"})
    git(folder, "submodule", "--quiet", "add", str(library), "vendored")
    git(folder, "commit", "--quiet", "--message=vendored")
    committed(folder / "vendored", {"inner.py": "b\n"}, "newer")
    written(folder, {"vendored/inner.py": "c\n", "outer.py": "b\n"})
    assert texts(compare(folder), folder) == {"outer.py": ("a\n", "b\n")}
    assert Comparer(folder).clean_commit() == ""
    inner = folder / "vendored"
    assert texts(compare(inner), inner) == {"inner.py": ("b\n", "c\n")}


@pytest.mark.parametrize("command", ["merge", "rebase", "cherry-pick"])
def test_operation_in_progress(tmp_path: Path, command: str) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n", "gone.py": "a\n", "kept.py": "a\n"})
    git(folder, "checkout", "--quiet", "-b", "topic")
    (folder / "gone.py").unlink()
    committed(folder, {"shop.py": "b\n", "clean.py": "new\n"}, "topic")
    git(folder, "checkout", "--quiet", "main")
    committed(folder, {"shop.py": "c\n", "gone.py": "b\n", "other.py": "a\n"}, "main")
    if command == "rebase":
        git(folder, "checkout", "--quiet", "topic")
    other = "main" if command == "rebase" else "topic"
    with pytest.raises(Exception, match="non-zero"):
        git(folder, command, other)
    comparison = compare(folder)
    assert "shop.py (merge conflict)" in comparison.left_out
    assert "shop.py" not in texts(comparison, folder)
    if command != "rebase":
        assert texts(comparison, folder) == {"clean.py": (None, "new\n")}
    (folder / "shop.py").write_text("d\n")
    assert texts(compare(folder), folder)["shop.py"] == ("c\n", "d\n")


def test_line_ends_of_windows(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\nb\n", "same.py": "a\n"})
    git(folder, "config", "core.autocrlf", "true")
    written(folder, {"shop.py": "a\r\nB\r\n", "same.py": "a\r\n"})
    comparison = compare(folder)
    assert texts(comparison, folder) == {"shop.py": ("a\nb\n", "a\nB\n")}
    written(folder, {"shop.py": "a\r\nb\r\n"})
    assert Comparer(folder).clean_commit() == git(folder, "rev-parse", "HEAD").strip()


def test_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    written(tmp_path, {"shop.py": "a\n"})
    comparer = Comparer(tmp_path)
    assert (comparer.commit("HEAD"), comparer.clean_commit()) == ("", "")
    assert compare(tmp_path) == Comparison()


def test_without_repository(tmp_path: Path) -> None:
    written(tmp_path, {"shop.py": "a\n"})
    assert compare(tmp_path) == Comparison()
    assert Comparer(tmp_path).clean_commit() == ""


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n"})
    written(folder, {"shop.py": "b\n"})
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    comparer = Comparer(folder)
    assert (comparer.commit("HEAD"), comparer.clean_commit()) == ("", "")
    assert comparer.with_worktree("HEAD") == Comparison()
    assert not comparer.is_shallow()
    assert not comparer.is_detached()
    assert comparer.commits_since("HEAD") == []


def test_failing_git_is_not_clean(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n"})
    comparer = Comparer(folder)
    assert comparer.clean_commit()
    (folder / ".git" / "index").write_bytes(b"damaged")
    assert comparer.clean_commit() == ""
    assert compare(folder) == Comparison()


def test_clean_trees(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n", ".gitignore": "out/\n"})
    head = git(folder, "rev-parse", "HEAD").strip()
    written(
        folder,
        {
            "report.json": "{}\n",
            "out/generated.py": "a\n",
            "env/lib/python3.12/site-packages/other.py": "a\n",
        },
    )
    assert Comparer(folder).clean_commit() == head
    written(folder, {"new.py": "a\n"})
    assert Comparer(folder).clean_commit() == ""
    (folder / "new.py").unlink()
    written(folder, {"shop.py": "b\n"})
    assert Comparer(folder).clean_commit() == ""


def test_worktree(tmp_path: Path) -> None:
    folder = repository(tmp_path / "project", {"shop.py": "a\n"})
    other = tmp_path / "other"
    git(folder, "worktree", "add", "--quiet", "--detach", str(other))
    written(other, {"shop.py": "b\n"})
    assert texts(compare(other), other) == {"shop.py": ("a\n", "b\n")}
    assert Comparer(other).is_detached()
    assert not Comparer(folder).is_detached()
    assert compare(folder) == Comparison()


def test_folder_of_a_repository(tmp_path: Path) -> None:
    repository(tmp_path, {"lib/shop.py": "a\n", "lib/old.py": LONG, "other/x.py": "a\n"})
    folder = tmp_path / "lib"
    (folder / "old.py").unlink()
    written(tmp_path, {"lib/shop.py": "b\n", "lib/new.py": "a\n", "other/x.py": "b\n"})
    expected = {"shop.py": ("a\n", "b\n"), "old.py": (LONG, None), "new.py": (None, "a\n")}
    assert texts(compare(folder), folder) == expected


def test_shallow_clone(tmp_path: Path) -> None:
    origin = repository(tmp_path / "origin", {"shop.py": "a\n"})
    committed(origin, {"shop.py": "b\n"}, "second")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(clone))
    written(clone, {"shop.py": "c\n"})
    comparer = Comparer(clone)
    assert comparer.is_shallow()
    assert not Comparer(origin).is_shallow()
    assert comparer.commit("HEAD~1") == ""
    assert texts(compare(clone), clone) == {"shop.py": ("b\n", "c\n")}


def test_partial_clone(tmp_path: Path) -> None:
    origin = repository(tmp_path / "origin", {"one.py": "a\n", "same.py": "s\n", "two.py": "b\n"})
    committed(origin, {"one.py": "1\n", "two.py": "2\n", "three.py": "3\n"}, "second")
    git(origin, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{origin}", str(clone))
    written(clone, {"one.py": "3\n"})
    state = state_of(clone)
    assert texts(compare(clone), clone) == {"one.py": ("1\n", "3\n")}
    comparison = compare(clone, "HEAD~1")
    assert texts(comparison, clone) == {"three.py": (None, "3\n")}
    assert comparison.left_out == (
        "one.py (too large, or not in this clone)",
        "two.py (too large, or not in this clone)",
    )
    assert state_of(clone) == state


def test_sha256_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    commit = committed(tmp_path, {"shop.py": "a\n"}, "first")
    written(tmp_path, {"shop.py": "b\n"})
    assert len(Comparer(tmp_path).commit("HEAD")) == 64
    assert texts(compare(tmp_path), tmp_path) == {"shop.py": ("a\n", "b\n")}
    committed(tmp_path, {}, "second")
    assert len(Comparer(tmp_path).commits_since(commit)) == 1


def test_hostile_configuration(tmp_path: Path) -> None:
    folder = repository(tmp_path / "project", {"shop.py": "a\n", "data.csv": "a\n"})
    first = git(folder, "rev-parse", "HEAD").strip()
    committed(
        folder,
        {"shop.py": "b\n", ".gitattributes": "* diff=trap filter=trap merge=trap\n"},
        "second",
    )
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path / 'sprung'}\ncat\n")
    trap.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout"):
        shutil.copy(trap, hooks / name)
    programs = (
        *("diff.external", "diff.trap.textconv", "diff.trap.command", "core.fsmonitor"),
        *("core.pager", "filter.trap.clean", "filter.trap.smudge", "filter.trap.process"),
        *("core.editor", "core.sshCommand", "core.alternateRefsCommand", "gpg.program"),
        *("alias.diff", "merge.trap.driver", "credential.helper"),
    )
    written(folder, {"shop.py": "c\n", "data.csv": "b\n", "new.py": "a\n"})
    lines = [f"[core]\n\thooksPath = {hooks}\n[log]\n\tshowSignature = true"]
    lines.append('[filter "trap"]\n\trequired = true')
    for program in programs:
        section, _, key = program.rpartition(".")
        kind, _, name = section.partition(".")
        header = f'[{kind} "{name}"]' if name else f"[{kind}]"
        lines.append(f"{header}\n\t{key} = {trap}")
    with (folder / ".git" / "config").open("a") as file:
        file.write("\n".join(lines) + "\n")
    state = state_of(folder)
    comparer = Comparer(folder)
    assert texts(compare(folder), folder) == {
        "shop.py": ("b\n", "c\n"),
        "data.csv": ("a\n", "b\n"),
        "new.py": (None, "a\n"),
    }
    assert comparer.clean_commit() == ""
    assert len(comparer.commits_since(first)) == 1
    assert comparer.merge_base("main") == comparer.commit("HEAD")
    assert not (tmp_path / "sprung").exists()
    assert state_of(folder) == state


def test_names_that_look_like_options(tmp_path: Path) -> None:
    comparer = Comparer(repository(tmp_path, {"shop.py": "a\n"}))
    for name in ("--all", "-h", "", "HEAD\0", "no such"):
        assert comparer.commit(name) == ""


def test_many_files(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n"})
    written(folder, {f"data/{number:03}.csv": "a\n" for number in range(MAX_FILES + 20)})
    written(folder, {"shop.py": "b\n", "zebra.py": "a\n"})
    comparison = compare(folder)
    assert comparison.left_out == (f"files after the first {MAX_FILES}",)
    assert len(comparison.files) == MAX_FILES
    assert texts(comparison, folder).keys() >= {"shop.py", "zebra.py"}


def test_many_binary_files(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"shop.py": "a\n"})
    written(folder, {f"images/{number:04}.png": "\0" for number in range(2 * MAX_FILES)})
    written(folder, {"text.txt": "a\n"})
    comparison = compare(folder)
    assert texts(comparison, folder) == {"text.txt": (None, "a\n")}
    assert len(comparison.left_out) == MAX_LISTED + 1
    assert comparison.left_out[-1] == f"{2 * MAX_FILES - MAX_LISTED} other files"
    assert MAX_EXAMINED > 2 * MAX_FILES
