"""A memory that something else has damaged: it tells what was put, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.cache import Cache


def only_file(folder: Path) -> Path:
    (file,) = (folder / "answers").iterdir()
    return file


@given(damage=st.binary(max_size=200) | st.sampled_from([b"{}", b"null", b'"text"', b"[" * 100_000]))
def test_a_file_of_any_bytes_holds_nothing(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    cache = Cache(folder)
    cache.put("value", "key")
    only_file(folder).write_bytes(damage)
    assert cache.get("key") is None


@given(at=st.integers(0, 85), byte=st.binary(min_size=1, max_size=1))
def test_a_file_with_one_byte_changed_holds_what_was_put_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    cache = Cache(folder)
    cache.put({"text": "the value"}, "key")
    content = only_file(folder).read_bytes()
    only_file(folder).write_bytes(content[:at] + byte + content[at + 1 :])
    assert cache.get("key") in (None, {"text": "the value"})


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    cache.put("value", "key")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.put("another", "another key")
    monkeypatch.undo()
    assert only_file(tmp_path)
    assert cache.get("key") == "value"
