"""The output of `git diff --raw --patch -z`, without git."""

from __future__ import annotations

import pytest

from pytest_starcoder.source.git import patches
from pytest_starcoder.source.git.patches import Entry, add_patches, read_output

MODIFIED = b":100644 100644 aaaa bbbb M\0a.py\0"
RENAMED = b":100644 100644 aaaa bbbb R090\0old.py\0new.py\0"
LINKED = b":100644 120000 aaaa bbbb T\0link\0"
UNMERGED = b":000000 000000 0000 0000 U\0conflict.py\0"


def patch(name: str, size: int = 60) -> bytes:
    return f"diff --git a/{name} b/{name}\n".encode().ljust(size - 1, b"x") + b"\n"


def read(*records: bytes, texts: tuple[bytes, ...] = ()) -> list[Entry]:
    separator = b"\0" if texts else b""
    return add_patches(*read_output(b"".join(records) + separator + b"".join(texts)))


def test_entries() -> None:
    texts = (patch("a.py"), patch("new.py"), patch("link"), patch("link"))
    entries = read(MODIFIED, RENAMED, LINKED, UNMERGED, texts=texts)
    assert [(entry.path, entry.status) for entry in entries] == [
        ("a.py", "M"),
        ("new.py", "R"),
        ("link", "T"),
        ("conflict.py", "U"),
    ]
    assert [entry.patch for entry in entries] == [texts[0], texts[1], texts[2] + texts[3], None]
    assert (entries[0].modes, entries[0].blobs) == (("100644", "100644"), ("aaaa", "bbbb"))


def test_without_patches() -> None:
    assert read_output(b"") == ([], [])
    assert read(UNMERGED) == [Entry("conflict.py", "U", ("000000",) * 2, ("0000",) * 2)]


def test_large_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MAX_FILE_BYTES", 100)
    entries = read(MODIFIED, MODIFIED, texts=(patch("a.py", 101), patch("a.py", 100)))
    assert [len(entry.patch or b"") for entry in entries] == [0, 100]


def test_large_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MAX_CHANGE_BYTES", 150)
    texts = tuple(patch("a.py", size) for size in (70, 90, 80))
    entries = read(MODIFIED, MODIFIED, MODIFIED, texts=texts)
    assert [len(entry.patch or b"") for entry in entries] == [70, 0, 80]
