"""The last review and cached answers in the git directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.store import ReviewStore
from pytest_starcoder.settings import Settings

FINDING = Finding(
    "shop.py",
    6,
    Severity.ERROR,
    "Divides by zero.",
    source="return sum(xs) / len(xs)",
    definition="mean",
)


REVIEW = Review(
    "what is staged", (FINDING,), total=1, reviewed=1, files=1, model="m", server="Ollama"
)


def test_save_and_load(tmp_path: Path) -> None:
    store = ReviewStore(tmp_path)
    assert (store.load(), store.load_record()) == (None, None)
    store.save(REVIEW)
    text, record = store.load(), store.load_record()
    assert text is not None
    assert record is not None
    assert text.startswith("shop.py:6: error: Divides by zero.")
    assert record["findings"][0]["fingerprint"] == FINDING.fingerprint


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "starcoder").write_text("a file")
    store = ReviewStore(tmp_path)
    store.save(REVIEW)
    assert (store.load(), store.load_record()) == (None, None)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
def test_damaged_report(tmp_path: Path, content: str) -> None:
    store = ReviewStore(tmp_path)
    store.save(REVIEW)
    (store.folder / "last.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert store.load_record() is None


def test_cache_folder(
    tmp_path: Path,
) -> None:
    store = ReviewStore(tmp_path)
    assert store.cache(Settings()).folder == tmp_path / "starcoder"
    assert store.cache(Settings(cache="off")).folder is None
    assert store.cache(Settings(cache="/elsewhere")).folder == Path("/elsewhere")


def test_worktree_cache(tmp_path: Path) -> None:
    worktree = tmp_path / "worktrees" / "other"
    worktree.mkdir(parents=True)
    (worktree / "commondir").write_text("../..\n")
    store = ReviewStore(worktree)
    assert store.cache(Settings()).folder == tmp_path / "starcoder"
    assert store.folder == worktree / "starcoder"
