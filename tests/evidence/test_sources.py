"""Source files, read as text: what is none is empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_starcoder.evidence.case import sources_of


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to("shop.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    names = ("shop.py", "link.py", "pipe.py", "zero.py", "folder.py", "gone.py")
    assert [sources_of(tmp_path)(name) for name in names] == ["x = 1\n", "x = 1\n", "", "", "", ""]
