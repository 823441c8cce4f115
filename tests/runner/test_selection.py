"""Exactly the requested tests are selected, whatever other plugins do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_starcoder.runner.selection import Selection, StableNodeIds
from pytest_starcoder.source.project import Project


class FakeItem:
    def __init__(self, nodeid: str, path: Path = Path("test_a.py")) -> None:
        self._nodeid = nodeid
        self.path = path

    @property
    def nodeid(self) -> str:
        return self._nodeid


def select(tests: Sequence[str], collected: Sequence[str], chosen: Sequence[str]) -> Any:
    """Return the node ids selected if a plugin has chosen some of the collected tests."""
    selection = Selection(tests)
    items: Any = {nodeid: FakeItem(nodeid) for nodeid in collected}
    hook = selection.pytest_collection_modifyitems(list(items.values()))
    next(hook)
    session: Any = SimpleNamespace(items=[items[nodeid] for nodeid in chosen])
    selection.pytest_collection_finish(session)
    return [item.nodeid for item in session.items], selection.missing


def test_selected_tests() -> None:
    collected = ["a.py::test_1", "a.py::test_2", "a.py::test_3"]
    tests = ["a.py::test_3", "a.py::test_1"]
    assert select(tests, collected, ["a.py::test_2", "a.py::test_1"]) == (tests, {})


def test_all_tests() -> None:
    assert select([], ["a.py::test_1"], ["a.py::test_1"]) == (["a.py::test_1"], {})


def test_name_with_xdist_group() -> None:
    assert select(["a.py::test_1@db"], ["a.py::test_1"], []) == (["a.py::test_1@db"], {})


def test_missing_tests() -> None:
    tests = ["a.py::test_1[0x7f]", "a.py::test_2"]
    assert select(tests, ["a.py::test_1[0x80]"], []) == (
        [],
        {
            "a.py::test_1[0x7f]": "the parameters have different names at each collection",
            "a.py::test_2": "it was not collected again",
        },
    )


@pytest.mark.parametrize(
    ("outcome", "text", "reason"),
    [
        ("failed", "x\nE   OSError: no\nx", "a.py cannot be collected: OSError: no"),
        ("failed", "", "a.py cannot be collected: it failed"),
        ("skipped", "", "a.py cannot be collected: it was skipped this time"),
    ],
    ids=["error", "no-text", "skipped"],
)
def test_failed_collection(outcome: Any, text: str, reason: str) -> None:
    selection = Selection(["a.py::test_1"])
    report = pytest.CollectReport("a.py", outcome, text, [])
    selection.pytest_collectreport(report)
    session: Any = SimpleNamespace(items=[])
    selection.pytest_collection_finish(session)
    assert selection.missing == {"a.py::test_1": reason}


def test_options_of_other_plugins() -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(maxfail=1, numprocesses=4, other="x"))
    Selection([]).pytest_configure(config)
    assert vars(config.option) == {"maxfail": 0, "numprocesses": None, "other": "x"}


def test_stable_node_ids(tmp_path: Path) -> None:
    project = Project(tmp_path / "root", (tmp_path,))
    inside: Any = FakeItem("test_a.py::test_1", tmp_path / "root" / "test_a.py")
    outside: Any = FakeItem("::test_1", tmp_path / "beside" / "test_a.py")
    for item in (inside, outside):
        StableNodeIds(project).pytest_itemcollected(item)
    assert (inside.nodeid, outside.nodeid) == ("test_a.py::test_1", "../beside/test_a.py::test_1")
