"""The example in docs/adding-an-edit.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_starcoder.source.edits import enumerate_edits, kind

PAGE = Path(__file__).parents[3] / "docs" / "adding-an-edit.md"


def test_example_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kind.every_kind()
    example: list[kind.Kind] = []
    monkeypatch.setattr(kind, "KINDS", example)
    block = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    exec(block[1], {})
    monkeypatch.setattr("pytest_starcoder.source.edits.every_kind", lambda: tuple(example))
    [edit] = enumerate_edits("def f():\n    return [1, 2]\n", "code.py", [2])
    assert (edit.before, edit.after) == ("[1, 2]", "{1, 2}")
    assert (edit.kind, edit.cost) == ("set for a list", 2.5)
