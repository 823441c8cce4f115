"""Tests under the names by which the user's run knows them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_starcoder.text.shown import Project


class Renamed:
    """Names collected tests outside of the root by their files, as `Project.address_of` does; a plugin of pytest."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        address = self._project.address_of(item.nodeid, item.path)
        if address != item.nodeid:
            rename(item, address)


def rename(item: pytest.Item, nodeid: str) -> None:
    """Gives a test another node id, as xdist does in its workers."""
    node: Any = item
    if hasattr(node, "_id"):  # pytest 9.1 and later
        node._id = type(node._id).parse(nodeid)
    else:
        node._nodeid = nodeid
