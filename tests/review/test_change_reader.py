"""A diff as hunks to ask about: whatever two files hold, every added line is in one of them, once, as it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review.change_reader import read_change
from pytest_starcoder.review.file_patch import FilePatch, parse_diff
from pytest_starcoder.review.hunk_cuts import MAX_PART
from pytest_starcoder.source.diff import unified
from pytest_starcoder.source.git.patches import Entry

LINES = [
    "", " ", "def f(x):", "    return x", "    y = 1", "class A:", "    def g(self):", "        return 2", "import os",
    "}", "func main() {", "# note", "x = 1", "@decorator", "a\x0cb", "a\u2028b", "\t\tif (x) {", "y" * 200,
    "--- a/x", "+++ b/x", "@@ -1 +1 @@",
]  # fmt: skip

files = st.lists(st.sampled_from(LINES), max_size=40).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)
names = st.sampled_from(["a.py", "a.go", "a.c", "a.rb", "README.md"])


def entry(before: str, after: str, name: str) -> Entry:
    patch = f"diff --git a/{name} b/{name}\n{unified(before, after, name)}".encode()
    return Entry(name, "M", ("100644", "100644"), ("", "after"), patch)


@given(files, files, names, st.booleans())
def test_every_added_line_is_in_one_hunk_as_it_is(
    before: str, after: str, name: str, known: bool
) -> None:
    found = entry(before, after, name)
    change = read_change("x", [FilePatch(found)], {"after": after.encode()} if known else {})
    text = after.split("\n")
    diff = unified(before, after, name).split("\n")[2:]
    expected = Counter(line[1:] for line in diff if line.startswith("+") and line[1:].strip())
    assert Counter(hunk.line(at) for hunk in change.hunks for at in hunk.added) == expected
    for hunk in change.hunks:
        assert all(text[at - 1] == hunk.line(at) for at in hunk.added)
        assert len(hunk.text) < MAX_PART + 400
    assert change.total == sum(line.startswith("@@ ") for line in diff)


@given(files, files, names)
def test_what_was_before_is_what_a_prompt_shows_as_before(
    before: str, after: str, name: str
) -> None:
    known = Counter(before.split("\n"))
    for hunk in read_change(
        "x", [FilePatch(entry(before, after, name))], {"after": after.encode()}
    ).hunks:
        head, *rest = hunk.base.split("\n")
        assert not Counter(rest) - known
        assert head in known or head in after.split("\n")


@given(files, files)
def test_a_diff_at_hand_is_read_like_gits_own(before: str, after: str) -> None:
    diff = unified(before, after, "a.py")
    if diff:
        [patch] = parse_diff(diff.encode())
        own = read_change("x", [FilePatch(entry(before, after, "a.py"))], {})
        assert read_change("x", [patch], {}) == own


def test_a_file_that_is_only_renamed_keeps_the_folder_that_looks_like_a_prefix() -> None:
    head = (
        b"diff --git a/x.py b/a/x.py\nsimilarity index 100%\nrename from x.py\nrename to a/x.py\n"
    )
    assert [(patch.entry.path, patch.entry.status) for patch in parse_diff(head)] == [
        ("a/x.py", "R")
    ]


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading_of_a_diff(content: bytes) -> None:
    head = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n"
    for text in (content, head + content):
        try:
            patches = parse_diff(text)
        except ConfigError:
            continue
        read_change("x", patches, {})
