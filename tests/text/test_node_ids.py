"""Node ids without what plugins append to them."""

from __future__ import annotations

import pytest

from pytest_starcoder.text.node_ids import without_group, without_parameters


@pytest.mark.parametrize(
    ("nodeid", "plain", "function"),
    [
        ("t.py::test_a", "t.py::test_a", "t.py::test_a"),
        ("t.py::test_a@db", "t.py::test_a", "t.py::test_a"),
        ("t.py::TestA::test_a[1]@db_x", "t.py::TestA::test_a[1]", "t.py::TestA::test_a"),
        ("t.py::test_a[x@y]", "t.py::test_a[x@y]", "t.py::test_a"),
        ("t.py::test_a[x::y]@db", "t.py::test_a[x::y]", "t.py::test_a"),
        ("a@b/t.py::test_a", "a@b/t.py::test_a", "a@b/t.py::test_a"),
        ("rows.yaml::mail@host", "rows.yaml::mail@host", "rows.yaml::mail@host"),
    ],
    ids=["plain", "group", "class", "address", "colons", "folder", "no Python"],
)
def test_parameters_are_removed(nodeid: str, plain: str, function: str) -> None:
    assert (without_group(nodeid), without_parameters(nodeid)) == (plain, function)
