"""Parsing a diff."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.diffs import file_patch, files

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review.change_reader import read_change
from pytest_starcoder.review.file_patch import parse_diff
from pytest_starcoder.source.diff import make_diff


@given(files, files)
def test_plain_diff(before: str, after: str) -> None:
    diff = make_diff(before, after, "a.py")
    if diff:
        [patch] = parse_diff(diff.encode())
        expected = read_change("x", [file_patch(before, after, "a.py")], {})
        assert read_change("x", [patch], {}) == expected


def test_renamed_file() -> None:
    """A folder of the new name may look like git's prefix."""
    diff = (
        b"diff --git a/x.py b/a/x.py\nsimilarity index 100%\nrename from x.py\nrename to a/x.py\n"
    )
    [patch] = parse_diff(diff)
    assert (patch.entry.path, patch.entry.status) == ("a/x.py", "R")


def test_modes() -> None:
    diff = b"diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n"
    [patch] = parse_diff(diff)
    assert (patch.entry.status, patch.entry.modes[1]) == ("A", "120000")
    [patch] = parse_diff(b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n")
    assert patch.entry.modes == ("100644", "100755")


@pytest.mark.parametrize("prefixes", [("i/", "w/"), ("", "")], ids=["mnemonic", "none"])
def test_name_with_spaces(prefixes: tuple[str, str]) -> None:
    old, new = (f"{prefix}my file.py" for prefix in prefixes)
    diff = f"diff --git {old} {new}\n--- {old}\t\n+++ {new}\t\n@@ -1 +1 @@\n-x\n+y\n"
    [patch] = parse_diff(diff.encode())
    assert patch.path == "my file.py"
    assert patch.added_lines() == frozenset({1})


def test_lines_like_headers() -> None:
    """In a plain diff, only the counts in `@@` tell such lines from a new file."""
    diff = b"--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n--- x\n+++ y\n"
    assert [patch.path for patch in parse_diff(diff)] == ["a.txt"]


@given(st.binary(max_size=400))
def test_arbitrary_bytes(content: bytes) -> None:
    head = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n"
    for text in (content, head + content):
        with contextlib.suppress(ConfigError):
            read_change("x", parse_diff(text), {})
