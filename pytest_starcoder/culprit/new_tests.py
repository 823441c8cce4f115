"""Recognizes tests and assertions that are new: they never passed, so no change broke them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_starcoder.culprit.pieces import ChangedText
from pytest_starcoder.culprit.search import Found
from pytest_starcoder.text.node_ids import file_of

NEW_TEST = "no change broke it: the test is new"
NEW_LINES = "no change broke it: what fails was added to the test"


def new_in_test(test: str, found: Found, files: Sequence[ChangedText]) -> str:
    """Return a sentence without its end if the test, or what fails in it, is new; else "".

    Changes to the code that are to blame nevertheless are in `found`.
    """
    pieces = [piece for way in found.ways for piece in way]
    if any(piece.kind != "test" for piece in pieces):
        return ""
    if _is_new(test, files):
        return NEW_TEST
    # Without lines that were only added, any test passes.
    if pieces and not any(piece.old for piece in pieces):
        return NEW_LINES
    return ""


def _is_new(test: str, files: Sequence[ChangedText]) -> bool:
    """Return whether the function of a test exists only in the new text of its file."""
    function = test.partition("[")[0].rpartition("::")[2]
    definition = re.compile(rf"^\s*(?:async\s+)?def\s+{re.escape(function)}\b", re.MULTILINE)
    for file in files:
        if file.path == file_of(test):
            old, new = file.undo(file.pieces), file.undo(())
            return bool(definition.search(new or "")) and not definition.search(old or "")
    return False
