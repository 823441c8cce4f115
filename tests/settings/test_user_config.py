"""Changes of the user's own config.toml keep everything else in it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from support.errors import raises_error

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.settings import load_settings, user_file
from pytest_starcoder.settings.user_config import write_user_settings

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")

CHOICE = {"model": "starcoder2:3b", "backend": "embedded"}
BY_HAND = 'Write `model = "starcoder2:3b"` and `backend = "embedded"` into it yourself.'


def edit(before: str) -> str:
    """Return what becomes of a file with the text `before`."""
    path = user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before.encode())
    assert write_user_settings(CHOICE) == path
    return path.read_bytes().decode()


def test_new_file(tmp_path: Path) -> None:
    path = write_user_settings(CHOICE)
    assert path.read_text("utf-8") == 'model = "starcoder2:3b"\nbackend = "embedded"\n'
    settings = load_settings(tmp_path, environ={})
    assert (settings.model, settings.backend) == ("starcoder2:3b", "embedded")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '# mine\n\nmodel  =  "a"   # why\n\n# the box\nhost = \'box:1\'\nbackend="auto"\n',
            "# mine\n\nmodel  =  \"starcoder2:3b\"   # why\n\n# the box\nhost = 'box:1'\n"
            'backend="embedded"\n',
        ),
        ("timeout = 9", 'timeout = 9\nmodel = "starcoder2:3b"\nbackend = "embedded"\n'),
        ("# empty", '# empty\nmodel = "starcoder2:3b"\nbackend = "embedded"\n'),
        (
            'model = "a"\r\ntimeout = 9\r\n',
            'model = "starcoder2:3b"\r\ntimeout = 9\r\nbackend = "embedded"\r\n',
        ),
        (
            '\ufeff"model" = "a" # é\nbackend = "none"\n',
            '\ufeff"model" = "starcoder2:3b" # é\nbackend = "embedded"\n',
        ),
    ],
    ids=["layout", "no-line-end", "comment", "windows", "mark"],
)
def test_layout_is_kept(before: str, after: str) -> None:
    assert edit(before) == after
    assert edit(after) == after


@posix
def test_modes() -> None:
    path = write_user_settings(CHOICE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write_user_settings({"model": "coder"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
def test_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    target.write_text("timeout = 9\n")
    path = user_file()
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    write_user_settings({"model": "coder"})
    assert path.is_symlink()
    assert target.read_text() == 'timeout = 9\nmodel = "coder"\n'


def test_unwritable_file() -> None:
    path = user_file()
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml cannot be written \(.+\)\.") as caught:
        write_user_settings(CHOICE)
    assert caught.value.hint == BY_HAND


def test_file_that_is_not_toml() -> None:
    with raises_error(
        ConfigError,
        f"{user_file()} cannot be read: Empty key at line 1 col 0.",
        BY_HAND,
    ):
        edit("= 1")
