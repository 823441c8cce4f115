"""The command that starts the user's pytest again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.source.edits.edit import Edit


def test_command(tmp_path: Path) -> None:
    ini = tmp_path / "pytest.ini"
    launch = Launch(tmp_path, tmp_path, ini, ("-k", "mean", "-x", "tests"), ("tests",))
    (tmp_path / "test_a.py").touch()
    tests = ["test_a.py::test_1", "test_a.py::test_2", "test_gone.py::test_3"]
    temporary = tmp_path / "temporary"
    assert launch.command(tests, temporary, ["--ours"]) == [
        *(sys.executable, "-P", "-m", "pytest", "-k", "mean", "-c", str(ini)),
        *("-o", "addopts=", "-o", "log_file=", "-o", f"cache_dir={temporary / 'cache'}"),
        *(f"--rootdir={tmp_path}", f"--basetemp={temporary / 'tmp'}"),
        *("--maxfail=0", "--no-starcoder", "--ours", str(tmp_path / "test_a.py")),
    ]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("-q",), ["--assert=plain"]),
        (("-p", "no:assertion"), []),
        (("-pno:assertion",), []),
        (("-k", "no:assertion"), ["--assert=plain"]),
    ],
)
def test_plain_assertions(tmp_path: Path, arguments: tuple[str, ...], options: list[str]) -> None:
    assert Launch(tmp_path, tmp_path, arguments=arguments).plain_assertions == options


def test_command_from_the_folder(tmp_path: Path) -> None:
    launch = Launch(tmp_path, tmp_path, here_first=True)
    command = launch.command(["test_gone.py::test_3"], tmp_path, [])
    assert command[:3] == [sys.executable, "-m", "pytest"]
    assert command[-1] == str(tmp_path / "test_gone.py"), "pytest reports that it is gone"


def test_edited_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    edits = [
        Edit("a.py", (4, 5), "1", "2", "a kind", 1.0, 1),
        Edit("a.py", (0, 1), "x", "y", "a kind", 1.0, 1),
    ]
    launch = Launch(tmp_path, tmp_path)
    assert launch.edited_files(edits) == {str(tmp_path / "a.py"): "y = 2\n"}
    with pytest.raises(OSError, match=r"b\.py"):
        launch.edited_files([Edit("b.py", (0, 1), "x", "y", "a kind", 1.0, 1)])
