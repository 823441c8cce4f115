"""Hypothesis strategies for files and diffs."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_starcoder.review.file_patch import FilePatch
from pytest_starcoder.source.diff import make_diff
from pytest_starcoder.source.git.patches import Entry

LINES = (
    *("", " ", "def f(x):", "    return x", "    y = 1", "class A:", "    def g(self):"),
    *("        return 2", "import os", "}", "func main() {", "# note", "x = 1", "@decorator"),
    *("a\x0cb", "a\u2028b", "\t\tif (x) {", "y" * 200),
    *("--- a/x", "+++ b/x", "@@ -1 +1 @@"),
)


def join(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


files = st.lists(st.sampled_from(LINES), max_size=40).map(join)


def file_patch(before: str, after: str, name: str) -> FilePatch:
    """Return the patch of a file whose content after the change is the blob "after"."""
    patch = f"diff --git a/{name} b/{name}\n{make_diff(before, after, name)}".encode()
    return FilePatch(Entry(name, "M", ("100644", "100644"), ("", "after"), patch))
