"""Node ids, as pytest and its plugins write them."""

from __future__ import annotations

import re

_GROUPED = re.compile(r"(?P<plain>.*?\.py(?:::\w+)+(?:\[.*\])?)@[^\]]*", re.DOTALL)


def file_of(nodeid: str) -> str:
    """Return the path of the test's file, relative to pytest's rootdir."""
    path, _, _ = nodeid.partition("::")
    return path


def without_group(nodeid: str) -> str:
    """Return `nodeid` without the group appended by xdist's loadgroup: `test.py::test_row@db`."""
    grouped = _GROUPED.fullmatch(nodeid)
    return grouped["plain"] if grouped else nodeid


def without_parameters(nodeid: str) -> str:
    """Return the node id of a test's function: `test.py::test_row` for `test.py::test_row[1]`."""
    path, colons, rest = without_group(nodeid).partition("::")
    return path + colons + rest.partition("[")[0]
