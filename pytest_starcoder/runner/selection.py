"""Collects and runs exactly the requested tests, once each and in order, whatever plugins do.

Plugins that distribute, repeat, shuffle or deselect tests stay loaded for their fixtures, marks
and options; only their effect on the run is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.node_ids import without_group, without_parameters

OPTIONS_OFF: Mapping[str, Any] = {
    "dist": "no",
    "tx": [],
    "numprocesses": None,
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
}
"""Options that a conftest may have set, and their values in a run of ours."""


class Selection:
    """A plugin that selects `tests` (node ids), or all if empty; `missing` gives reasons.

    Register it after the options were parsed.
    """

    def __init__(self, tests: Sequence[str]) -> None:
        self._tests = tests
        self._collected: list[pytest.Item] = []
        self.problems: dict[str, str] = {}
        """Why collectors failed, by node id: the exception as text, as far as it is known."""
        self.missing: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        for name, value in OPTIONS_OFF.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = report.longreprtext.splitlines()
            errors = [line for line in lines if line.startswith("E ")]
            last = (errors or lines or ["it failed"])[-1]
            self.problems[report.nodeid] = one_line(last.removeprefix("E ").strip(), 200)
        elif report.skipped:
            self.problems[report.nodeid] = "it was skipped this time"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        self._collected = list(items)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Select after all plugins: restores tests that a plugin deselected or moved."""
        if not self._tests:
            return
        # The names of the session come first: plugins may have replaced items.
        items: dict[str, pytest.Item] = {}
        for item in (*session.items, *self._collected):
            items.setdefault(item.nodeid, item)
        session.items.clear()
        for nodeid in self._tests:
            match = items.get(nodeid) or items.get(without_group(nodeid))
            if match is None:
                self.missing[nodeid] = self._reason(nodeid, items)
                continue
            if match.nodeid != nodeid:
                _rename(match, nodeid)
            session.items.append(match)

    def _reason(self, nodeid: str, items: Mapping[str, pytest.Item]) -> str:
        for collector, problem in self.problems.items():
            if nodeid == collector or nodeid.startswith(f"{collector}::"):
                return f"{collector} cannot be collected: {problem}"
        if without_parameters(nodeid) in map(without_parameters, items):
            return "the parameters have different names at each collection"
        return "it was not collected again"


class StableNodeIds:
    """A plugin that names tests outside the root by their file, like `Project.address_of`."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        address = self._project.address_of(item.nodeid, item.path)
        if address != item.nodeid:
            _rename(item, address)


class ItemProtocol:
    """pytest's protocol for running a test, once and without reporting it.

    The hook wrappers of all plugins apply, and so do the hooks of the project's conftests. Those of
    installed plugins that run tests their own way, repeatedly or in another process, do not.
    """

    def __init__(self, config: pytest.Config, project: Project) -> None:
        self._reports: list[pytest.TestReport] = []
        plugins = config.pluginmanager
        runner: Any = plugins.get_plugin("runner")  # the one of pytest itself
        self._runtestprotocol = runner.runtestprotocol
        plugins.register(self)
        # The others would run the test themselves, before our own implementation.
        replaced = []
        for hook in plugins.hook.pytest_runtest_protocol.get_hookimpls():
            applies = hook.wrapper or hook.hookwrapper or hook.plugin is self
            if not applies and not _is_of_project(hook.function, project):
                replaced.append(hook.plugin)
        self._call_hooks = plugins.subset_hook_caller("pytest_runtest_protocol", replaced)

    def run(
        self, item: pytest.Item, nextitem: pytest.Item | None = None
    ) -> list[pytest.TestReport]:
        """Run one test and return the reports of its phases."""
        self._reports = []
        self._call_hooks(item=item, nextitem=nextitem)
        return self._reports

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        self._reports = self._runtestprotocol(item, log=False, nextitem=nextitem)
        return True


def _rename(item: pytest.Item, nodeid: str) -> None:
    """Change the node id of a test, as xdist does in its workers."""
    node: Any = item
    if hasattr(node, "_id"):  # pytest 9.1 and later
        node._id = type(node._id).parse(nodeid)
    else:
        node._nodeid = nodeid


def _is_of_project(function: Callable[..., object], project: Project) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    return Path(code.co_filename).name == "conftest.py" or project.holds(code.co_filename)
