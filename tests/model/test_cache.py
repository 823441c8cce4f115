"""The cache, also if it is broken."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_starcoder.model import cache as module
from pytest_starcoder.model.cache import Cache
from pytest_starcoder.settings import Settings, cache_folder

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
quietly = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbered = itertools.count()


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@quietly
@given(json_values, st.lists(json_values, max_size=3))
def test_put_and_get(tmp_path: Path, value: object, key: list[object]) -> None:
    cache = Cache(tmp_path)
    cache.put(value, *key)
    assert cache.get(*key) == value


@quietly
@given(st.lists(json_values, max_size=3), st.lists(json_values, max_size=3))
def test_keys_are_distinct(tmp_path: Path, first: list[object], second: list[object]) -> None:
    cache = Cache(tmp_path / str(next(numbered)))
    cache.put(1, *first)
    if json.dumps(first, sort_keys=True) != json.dumps(second, sort_keys=True):
        assert cache.get(*second) is None


def test_last_value_wins(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(1, "key")
    cache.put(2, "key")
    assert cache.get("key") == 2


def test_entries_outlive_the_run(tmp_path: Path) -> None:
    Cache(tmp_path).put({"text": "é\n"}, "key", {"b": 1, "a": 2})
    assert Cache(tmp_path).get("key", {"a": 2, "b": 1}) == {"text": "é\n"}


def test_cache_without_folder() -> None:
    cache = Cache(None)
    cache.put(1, "key")
    assert cache.get("key") is None


def test_missing_entry(tmp_path: Path) -> None:
    assert Cache(tmp_path / "none").get("key") is None
    assert not (tmp_path / "none").exists()


def test_key_is_not_stored(tmp_path: Path) -> None:
    Cache(tmp_path).put("answer", "the user's secret code")
    assert all(
        b"secret" not in path.read_bytes() and "secret" not in path.name
        for path in entries(tmp_path)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_files_are_private(tmp_path: Path) -> None:
    Cache(tmp_path / "cache").put("answer", "key")
    for path in entries(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000, b'{"a": 1'])
def test_broken_entry_is_replaced(tmp_path: Path, content: bytes) -> None:
    cache = Cache(tmp_path)
    cache.put(1, "key")
    (entry,) = entries(tmp_path)
    entry.write_bytes(content)
    assert cache.get("key") is None
    cache.put(2, "key")
    assert cache.get("key") == 2


def test_uncreatable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put(1, "key")
    assert cache.get("key") is None


def test_no_partial_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(20):
        cache.put(number, "key", number % 3)
    assert len(entries(tmp_path)) == 3


def test_oldest_entries_are_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 20)
    cache = Cache(tmp_path)
    for number in range(20):
        cache.put(number, number)
        (newest,) = (path for path in entries(tmp_path) if path.stat().st_mtime > 1_000_000)
        os.utime(newest, (number, number))
    cache.put(20, 20)
    assert len(entries(tmp_path)) <= 20
    assert cache.get(0) is None
    assert (cache.get(19), cache.get(20)) == (19, 20)


def test_concurrent_writers(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_starcoder.model.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for number in range(50):\n"
        "    cache.put('x' * 10_000, number % 5); assert cache.get(number % 5) == 'x' * 10_000\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(30) for process in running] == [0, 0, 0, 0]
    assert len(entries(tmp_path)) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022])
def test_folder_is_private(clean_environment: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        Cache(cache_folder(Settings())).put("answer", "key")
    finally:
        os.umask(before)
    for folder in (
        clean_environment / ".cache" / "starcoder",
        clean_environment / ".cache" / "starcoder" / "answers",
    ):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
