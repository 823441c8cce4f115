"""Reading two versions of a file into hunks: every added line is in one of them, unchanged."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from support.diffs import file_patch, files

from pytest_starcoder.review.change_reader import read_change
from pytest_starcoder.review.hunk_cuts import MAX_PART
from pytest_starcoder.source.diff import make_diff

names = st.sampled_from(["a.py", "a.go", "a.c", "a.rb", "README.md"])


@given(files, files, names, st.booleans())
def test_added_lines_in_hunks(before: str, after: str, name: str, has_text: bool) -> None:
    blobs = {"after": after.encode()} if has_text else {}
    change = read_change("x", [file_patch(before, after, name)], blobs)
    text = after.split("\n")
    diff = make_diff(before, after, name).split("\n")[2:]
    expected = Counter(line[1:] for line in diff if line.startswith("+") and line[1:].strip())
    assert Counter(hunk.line(at) for hunk in change.hunks for at in hunk.added) == expected
    for hunk in change.hunks:
        assert all(text[at - 1] == hunk.line(at) for at in hunk.added)
        assert len(hunk.text) < MAX_PART + 400
    assert change.total == sum(line.startswith("@@ ") for line in diff)


@given(files, files, names)
def test_base_is_old_code(before: str, after: str, name: str) -> None:
    change = read_change("x", [file_patch(before, after, name)], {"after": after.encode()})
    old_lines = Counter(before.split("\n"))
    for hunk in change.hunks:
        head, *rest = hunk.base.split("\n")
        assert not Counter(rest) - old_lines
        assert head in old_lines or head in after.split("\n")
