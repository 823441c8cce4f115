"""The page on adding an edit: its example is a kind, and makes its edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_starcoder.source.edits import enumerate_edits, kind

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-edit.md"


def test_the_example_is_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kind.every_kind()
    added: list[kind.Kind] = []
    monkeypatch.setattr(kind, "KINDS", added)
    block = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    exec(block[1], {})
    monkeypatch.setattr("pytest_starcoder.source.edits.every_kind", lambda: tuple(added))
    [edit] = enumerate_edits("def f():\n    return [1, 2]\n", "code.py", [2])
    assert (edit.before, edit.after, edit.kind, edit.cost) == (
        "[1, 2]",
        "{1, 2}",
        "set for a list",
        2.5,
    )
