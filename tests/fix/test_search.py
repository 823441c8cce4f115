"""What is said of a fix: checked only where the search came to its end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.fix.search import Confirmed, Passed, _told
from pytest_starcoder.runner.trials import Input
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.project import Project

SOURCE = "def one():\n    return 2\n"
EDIT = Edit("shop.py", (22, 23), "2", "1", "integer constant", 1.0, 2)


@pytest.mark.parametrize(("seconds", "checked"), [(60.0, True), (-1.0, False)])
def test_a_fix_whose_search_ran_out_of_time_is_not_called_checked(
    seconds: float, checked: bool
) -> None:
    search: Any = SimpleNamespace(
        passed=[Passed(1.0, (EDIT,), 0)],
        others=[],
        failing=["test_shop.py::test_one"],
        passing=[],
        limits={},
        deadline=Deadline.after(seconds),
        sources=lambda _path: SOURCE,
        confirm=lambda _edits: Confirmed(("test_shop.py::test_one",), (), ()),
        tried=1,
        launch=SimpleNamespace(project=Project(Path("/project"))),
        model="",
    )
    behaviours = [("returns 1",)]
    trials: Any = SimpleNamespace(
        level="kernel", observed=lambda *_: ([Input("one()", "")], behaviours)
    )
    [fix] = _told(search, trials, 0.0).found
    assert fix.after == "    return 1"
    assert fix.checked is checked
