"""Gives tests the names they have in the user's run."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_starcoder.source.project import Project


class StableNodeIds:
    """A pytest plugin that names tests outside the root by file, like `Project.address_of`."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        address = self._project.address_of(item.nodeid, item.path)
        if address != item.nodeid:
            rename(item, address)


def rename(item: pytest.Item, nodeid: str) -> None:
    """Change the node id of a test, as xdist does in its workers."""
    node: Any = item
    if hasattr(node, "_id"):  # pytest 9.1 and later
        node._id = type(node._id).parse(nodeid)
    else:
        node._nodeid = nodeid
