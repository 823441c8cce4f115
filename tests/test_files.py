"""Files are written atomically, and never through a link that leads out of the project."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import repository

from pytest_starcoder.cli import doctor
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import Sample, Sampling
from pytest_starcoder.evaluate.samples import SampleFile
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.files import LeadsOutside, create_private_folder, replace_file, resolve_target
from pytest_starcoder.fix.apply import add_test, apply
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.report.files import write_report
from pytest_starcoder.review import reviewer
from pytest_starcoder.review.store import ReviewStore
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository that is the current folder."""
    folder = repository(tmp_path / "project", {"shop.py": "x = 1\n"})
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file of the user outside the repository."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "profile").write_text("mine\n")
    return folder / "profile"


# --- how a file is replaced ----------------------------------------------------------------


def test_new_file_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        replace_file(tmp_path / "new", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o2755])
def test_mode_is_kept(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    replace_file(file, b"x")
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_hard_links_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"shared")
    os.link(tmp_path / "store", tmp_path / "file")
    replace_file(tmp_path / "file", b"x")
    assert ((tmp_path / "store").read_bytes(), (tmp_path / "file").read_bytes()) == (
        b"shared",
        b"x",
    )


def test_failure_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"before")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "file", b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipe_without_reader(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device or address"):
        replace_file(pipe, b"new")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_file(pipe, b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)


def test_device() -> None:
    replace_file(Path(os.devnull), b"x")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277, 0o777])
def test_private_folder_mode(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        create_private_folder(tmp_path / "cache")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_existing_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team").chmod(0o775)
    create_private_folder(tmp_path / "team")
    assert stat.S_IMODE((tmp_path / "team").stat().st_mode) == 0o775


# --- what leads outside --------------------------------------------------------------------

Link = Callable[[Path, Path], Path]


def itself(top: Path, outside: Path) -> Path:
    (top / "link").symlink_to(outside)
    return top / "link"


def relative(top: Path, outside: Path) -> Path:
    (top / "link").symlink_to(os.path.relpath(outside, top))
    return top / "link"


def folder(top: Path, outside: Path) -> Path:
    (top / "deep").mkdir()
    (top / "deep" / "link").symlink_to(outside.parent)
    return top / "deep" / "link" / outside.name


def chain(top: Path, outside: Path) -> Path:
    (top / "b").symlink_to(outside.parent)
    (top / "a").symlink_to(f"b/{outside.name}")
    return top / "a"


def missing(top: Path, outside: Path) -> Path:
    (top / "link").symlink_to(outside.with_name("new"))
    return top / "link"


def git_folder(top: Path, outside: Path) -> Path:
    (top / "link").symlink_to(".git/config")
    return top / "link"


LINKS = [itself, relative, folder, chain, missing, git_folder]


@pytest.mark.parametrize("link", LINKS)
def test_link_out_of_the_tree(top: Path, outside: Path, link: Link) -> None:
    path = link(top, outside)
    target = path.resolve()
    before = target.read_bytes() if target.exists() else None
    with pytest.raises(LeadsOutside) as caught:
        replace_file(path, b"x", top)
    assert caught.value.strerror == f"a link leads to {target}, which is not a file of {top}"
    assert (target.read_bytes() if target.exists() else None) == before


def test_link_loop(top: Path) -> None:
    (top / "a").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        replace_file(top / "a", b"x", top)


def test_link_within_the_tree(top: Path) -> None:
    (top / "link.py").symlink_to("shop.py")
    assert resolve_target(top / "link.py", top) == top / "shop.py"


def test_linked_tree(top: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(top)
    assert resolve_target(tmp_path / "alias" / "shop.py", tmp_path / "alias") == top / "shop.py"
    assert resolve_target(tmp_path / "alias" / "shop.py", top) == top / "shop.py"


def test_explicit_path_outside(top: Path, outside: Path) -> None:
    replace_file(outside, b"x", top)
    assert outside.read_bytes() == b"x"


# --- everything that writes for the user ---------------------------------------------------


def reason(path: Path, top: Path) -> str:
    return f"a link leads to {path}, which is not a file of {top}"


def test_fix_through_a_link(top: Path, outside: Path) -> None:
    (top / "linked.py").symlink_to(outside)
    before = (top / "shop.py").read_text()
    edits = tuple(Edit(path, (0, 1), "x", "y", "name", 1.0, 1) for path in ("shop.py", "linked.py"))
    fix = Fix(edits, "", "shop.py", 1, "x", "y", (), (), checked=True)
    messages = apply(
        [fix], top, SourceFiles(lambda path: (top / path).read_text()), lambda _fix: True
    )
    assert messages == [
        f"shop.py:1 was not changed: {reason(outside, top)}. Remove the link, or name its target."
    ]
    assert ((top / "shop.py").read_text(), outside.read_text()) == (before, "mine\n")


def test_added_test_without_git(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "unpacked"
    root.mkdir()
    (root / "linked.py").symlink_to(outside)
    with pytest.raises(LeadsOutside):
        add_test(root, "linked.py", "    assert True\n", "mean(1)")
    assert outside.read_text() == "mine\n"


def test_baseline_through_a_link(top: Path, outside: Path) -> None:
    folder = ReviewStore(top / ".git").folder
    write_report(
        folder / "last.json", '{"findings": [{"fingerprint": "x", "path": "a", "source": "b"}]}'
    )
    (top / ".starcoder-baseline").symlink_to(outside)
    with pytest.raises(ConfigError) as caught:
        reviewer.accept_last_review()
    assert str(caught.value) == (
        f"Nothing was accepted: .starcoder-baseline cannot be written ({reason(outside, top)}). "
        "Remove the link, or name its target."
    )
    assert outside.read_text() == "mine\n"


def test_completion_through_a_link(top: Path, outside: Path) -> None:
    (top / "linked.py").symlink_to(outside)
    with pytest.raises(ConfigError) as caught:
        read_source("linked.py").write("y\n")
    assert str(caught.value) == (
        f"linked.py cannot be written ({reason(outside, top)}); it is as it was. "
        "Remove the link, or name its target."
    )
    assert outside.read_text() == "mine\n"


def test_doctor_report_through_a_link(top: Path, outside: Path) -> None:
    (top / "starcoder-doctor.json").symlink_to(outside)
    with pytest.raises(ConfigError) as caught:
        doctor._write_report({}, Path("starcoder-doctor.json"))
    assert str(caught.value) == (
        f"starcoder-doctor.json cannot be written: {reason(outside, top)}. "
        "Name another file with --deep=FILE."
    )
    assert outside.read_text() == "mine\n"


def test_sample_through_a_link(top: Path, outside: Path) -> None:
    (top / "answers.jsonl").symlink_to(outside.with_name("new.jsonl"))
    file = SampleFile(Path("answers.jsonl"), "mbpp", Model("m", "d", "", 4096), Sampling())
    with pytest.raises(ConfigError, match="which is not a file of"):
        file.add(Sample("MBPP/1", 0, "x"))
    assert not outside.with_name("new.jsonl").exists()
