"""Source files are read safely, and each value is computed from them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_starcoder.source.sources import SourceFiles


def test_derived_once() -> None:
    calls: list[str] = []

    def read(path: str) -> str:
        calls.append(path)
        return path * 2

    def length(text: str) -> int:
        calls.append(text)
        return len(text)

    sources = SourceFiles(read)
    assert (sources.derive("ab", length), sources.derive("ab", length)) == (4, 4)
    assert sources("ab") == "abab"
    assert calls == ["ab", "abab"]


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'\n")
    sources = SourceFiles.below(tmp_path)
    assert sources("latin.py") == "x = '\ufffd'\n"
    assert sources("missing.py") == ""
    assert sources("nul\0.py") == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_regular_files(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to("shop.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    sources = SourceFiles.below(tmp_path)
    assert sources("shop.py") == sources("link.py") == "x = 1\n"
    assert sources("pipe.py") == sources("zero.py") == sources("folder.py") == ""
