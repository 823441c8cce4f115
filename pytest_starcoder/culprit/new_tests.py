"""Recognizes new tests and assertions: they have never passed, so no change broke them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_starcoder.culprit.pieces import ChangedText
from pytest_starcoder.culprit.search import SearchResult
from pytest_starcoder.text.node_ids import file_of

NEW_TEST = "no change broke it: this is a new test, added"
NEW_LINES = "no change broke it: the lines that fail were added to the test"


def new_in_test(test: str, result: SearchResult, files: Sequence[ChangedText]) -> str:
    """Return the beginning of a sentence if the test or its assertion is new; else "".

    The sentence ends with `since` and a commit. If `result` has changes to the code, these are to
    blame even so.
    """
    pieces = [piece for way in result.ways for piece in way]
    if any(piece.kind != "test" for piece in pieces):
        return ""
    if _is_new(test, files):
        return NEW_TEST
    # Any test passes without the lines that were added to it. New support code may break it.
    is_in_test = all(piece.path == file_of(test) for piece in pieces)
    if pieces and is_in_test and not any(piece.old for piece in pieces):
        return NEW_LINES
    return ""


def _is_new(test: str, files: Sequence[ChangedText]) -> bool:
    """Return whether the test function exists only in the new text of its file."""
    function = test.partition("[")[0].rpartition("::")[2]
    definition = re.compile(rf"^\s*(?:async\s+)?def\s+{re.escape(function)}\b", re.MULTILINE)
    for file in files:
        if file.path == file_of(test):
            old, new = file.undo(file.pieces), file.undo(())
            return bool(definition.search(new or "")) and not definition.search(old or "")
    return False
