"""Collects and runs exactly the requested tests, once each and in order, whatever plugins do.

Plugins that distribute, repeat, shuffle or deselect tests stay loaded for their fixtures, marks
and options; only their effect on the run is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.runner.test_names import rename
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.node_ids import without_group, without_parameters

OFF: dict[str, Any] = {
    "dist": "no",
    "tx": [],
    "numprocesses": None,
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
}
"""Options that a conftest may have set, and their values in a run of ours."""


class Selection:
    """A plugin that keeps only `tests` (node ids), or all if empty; `missing` gives reasons.

    Register it after the options were parsed.
    """

    def __init__(self, tests: Sequence[str]) -> None:
        self._tests = tests
        self._collected: list[pytest.Item] = []
        self._problems: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        for name, value in OFF.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
            last = (lines or report.longreprtext.splitlines() or ["it failed"])[-1]
            self._problems[report.nodeid] = one_line(last.removeprefix("E ").strip(), 200)
        elif report.skipped:
            self._problems[report.nodeid] = "it was skipped this time"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        self._collected = list(items)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Select after all plugins: restores tests that a plugin left out or moved."""
        if not self._tests:
            return
        items: dict[str, pytest.Item] = {}
        for item in (*session.items, *self._collected):
            items.setdefault(item.nodeid, item)
        chosen = []
        for nodeid in self._tests:
            same = items.get(nodeid) or items.get(without_group(nodeid))
            if same is None:
                self.missing[nodeid] = self._reason(nodeid, items)
                continue
            if same.nodeid != nodeid:
                rename(same, nodeid)
            chosen.append(same)
        session.items[:] = chosen

    def _reason(self, nodeid: str, items: dict[str, pytest.Item]) -> str:
        for place, problem in self._problems.items():
            if nodeid == place or nodeid.startswith(f"{place}::"):
                return f"{place} cannot be collected: {problem}"
        if without_parameters(nodeid) in map(without_parameters, items):
            return "the parameters have different names at each collection"
        return "it was not collected again"


class Protocol:
    """Run a test once, without reporting it.

    The hook wrappers of all plugins apply, and so do the hooks of the project's conftests. Those of
    installed plugins that run tests their own way, repeatedly or in another process, do not.
    """

    def __init__(self, config: pytest.Config, project: Project) -> None:
        self._reports: list[pytest.TestReport] = []
        manager = config.pluginmanager
        runner: Any = manager.get_plugin("runner")  # the one of pytest itself
        self._runtestprotocol = runner.runtestprotocol
        manager.register(self)
        others = [
            implementation.plugin
            for implementation in manager.hook.pytest_runtest_protocol.get_hookimpls()
            if not (implementation.wrapper or implementation.hookwrapper)
            and implementation.plugin is not self
            and not _is_of_project(implementation.function, project)
        ]
        self._call = manager.subset_hook_caller("pytest_runtest_protocol", others)

    def run(
        self, item: pytest.Item, nextitem: pytest.Item | None = None
    ) -> list[pytest.TestReport]:
        """Run one test and return the reports of its phases."""
        self._reports = []
        self._call(item=item, nextitem=nextitem)
        return self._reports

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        self._reports = self._runtestprotocol(item, log=False, nextitem=nextitem)
        return True


def _is_of_project(function: Callable[..., object], project: Project) -> bool:
    code = getattr(function, "__code__", None)
    file = Path(code.co_filename if code is not None else "")
    return file.name == "conftest.py" or project.holds(str(file))
