"""A file of the user's: read as it is, written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.errors import raises_error

from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError

AS_NOBODY = """
import os, sys
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError
source = read_source(sys.argv[1])
if os.geteuid() == 0:  # whom nothing keeps from writing
    os.setuid(65534)
try:
    source.write("y = 2\\n")
except ConfigError as error:
    print(error)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`shop.py` in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_bytes(b"x = 1\n")
    return tmp_path / "shop.py"


@pytest.mark.usefixtures("file")
def test_similar_file_is_suggested() -> None:
    message = "shpo.py cannot be read: No such file or directory."
    with raises_error(ConfigError, message, "Is it shop.py?"):
        read_source("shpo.py")
    message = "away.txt cannot be read: No such file or directory."
    with raises_error(ConfigError, message, "Name a file that exists."):
        read_source("away.txt")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x = 1",
        b"x = 1\n",
        b"x = 1\r\ny\r\n",
        b"\xef\xbb\xbfx = 1\n",
        b"a\rb\r\nc\n",
        "é日🙂".encode(),
    ],
)
def test_round_trip_keeps_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    source = read_source("shop.py")
    source.write(source.text)
    assert file.read_bytes() == content


def test_byte_order_mark_stays(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfx = 1\n")
    source = read_source("shop.py")
    assert source.text == "x = 1\n"
    source.write("y = 2\n")
    assert file.read_bytes() == b"\xef\xbb\xbfy = 2\n"


def test_name_in_prompts(file: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.py").touch()
    assert read_source("inner/../inner/a.py").shown == "inner/a.py"
    assert read_source(str(tmp_path / "inner" / "a.py")).shown == "inner/a.py"
    assert read_source(__file__).shown == "test_source_file.py"


def test_mode_stays(file: Path) -> None:
    file.chmod(0o750)
    read_source("shop.py").write("y = 2\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o750


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away"
)
def test_owner_stays(file: Path) -> None:
    os.chown(file, 65534, 65534)
    read_source("shop.py").write("y = 2\n")
    assert (file.stat().st_uid, file.stat().st_gid) == (65534, 65534)


def test_link_target_is_written(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(file)
    read_source("link.py").write("y = 2\n")
    assert link.is_symlink()
    assert file.read_bytes() == b"y = 2\n"


def test_no_leftover_files(file: Path, tmp_path: Path) -> None:
    read_source("shop.py").write("y = 2\n")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.py"]


@pytest.mark.parametrize("content", [b"z = 3\n", b"\xef\xbb\xbfx = 1\n"])
def test_changed_file_stays(file: Path, content: bytes) -> None:
    source = read_source("shop.py")
    file.write_bytes(content)
    with raises_error(
        ConfigError, "shop.py has changed meanwhile; nothing was written.", "Ask again."
    ):
        source.write("y = 2\n")
    assert file.read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of POSIX here")
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "reason"),
    [(0o555, 0o666, "Permission denied"), (0o777, 0o444, "it is read-only")],
)
def test_unwritable_file_stays(folder_mode: int, file_mode: int, reason: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # all may enter it, unlike pytest's own
        there = Path(folder, "shop.py")
        there.write_bytes(b"x = 1\n")
        there.chmod(file_mode)
        Path(folder).chmod(folder_mode)
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, there], capture_output=True, text=True, check=False
        )
        assert run.stdout + run.stderr == (
            f"{there} cannot be written ({reason}); it is as it was. Make the file and its folder "
            "writable.\n"
        )
        assert there.read_bytes() == b"x = 1\n"
        assert [path.name for path in Path(folder).iterdir()] == ["shop.py"]
        Path(folder).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "gone.py",
            "gone.py cannot be read: No such file or directory.",
            "Name a file that exists.",
        ),
        ("inner", "inner is a folder.", "Name a file in it."),
        (
            "latin.py",
            "latin.py is not UTF-8: invalid continuation byte at byte 1.",
            "Save it as UTF-8.",
        ),
        ("image.png", "image.png is not a text file.", "Name a file of source code."),
        ("a\0b", "a\0b cannot be read: embedded null byte.", "Name a file that exists."),
    ],
)
def test_unreadable_files(file: Path, tmp_path: Path, name: str, message: str, hint: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "latin.py").write_bytes("aé = 1".encode("latin-1"))
    (tmp_path / "image.png").write_bytes(b"PNG\0\0\1")
    with raises_error(ConfigError, message, hint):
        read_source(name)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (0, 0, "shop.py has no line 0."),
        (4, 4, "shop.py has no line 4."),
        (2, 1, "shop.py has no lines 2-1."),
        (2, 9, "shop.py has no lines 2-9."),
    ],
)
def test_missing_lines(file: Path, first: int, last: int, message: str) -> None:
    file.write_bytes(b"a\n\nc")
    source = read_source("shop.py")
    source.check_lines(1, 3)
    with raises_error(ConfigError, message, "Its lines are 1 to 3."):
        source.check_lines(first, last)


def test_empty_file(file: Path) -> None:
    file.write_bytes(b"")
    with raises_error(
        ConfigError, "shop.py is empty.", 'Start it with `starcoder ask --code "…"`.'
    ):
        read_source("shop.py").check_lines(1, 1)
