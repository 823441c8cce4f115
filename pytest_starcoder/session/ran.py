"""The tests of a session as they ran: what running some of them again needs to know."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_starcoder.runner import Launch
    from pytest_starcoder.values.run import Ran

_WORSE = {"passed": 0, "skipped": 1, "failed": 2}


class Tests:
    """Takes the reports of a session; `ran` gives its tests in the order in which they began."""

    def __init__(self) -> None:
        self._found: dict[str, list[object]] = {}

    def add(self, report: pytest.TestReport) -> None:
        nodeid = getattr(report, "starcoder_address", report.nodeid)
        found = self._found.get(nodeid)
        worker = getattr(report, "worker_id", "")
        if found is None:
            found = self._found[nodeid] = [report.outcome, 0.0, worker, True, True]
        elif _WORSE.get(report.outcome, 2) > _WORSE.get(str(found[0]), 2):
            found[0] = report.outcome
        if hasattr(report, "wasxfail"):
            found[0] = "skipped"  # expected to fail: it says nothing of what should pass
        found[1] = float(found[1]) + report.duration  # type: ignore[arg-type]
        if not getattr(report, "starcoder_replay", True):
            found[3] = False
        if not getattr(report, "starcoder_fix", True):
            found[4] = False

    @property
    def ran(self) -> list[Ran]:
        from pytest_starcoder.values.run import Ran

        return [Ran(nodeid, *fields) for nodeid, fields in self._found.items()]  # type: ignore[arg-type]

    @property
    def files(self) -> set[str]:
        """The files that the tests are in, relative to the root."""
        return {nodeid.partition("::")[0] for nodeid in self._found}


def launch_of(config: pytest.Config, environment: Mapping[str, str] | None = None) -> Launch:
    """How the session was started, as far as a child needs to know to run its tests in the same way."""
    from pytest_starcoder.runner import Launch
    from pytest_starcoder.session.project import project_of

    arguments = [
        *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        *config.getini("addopts"),
        *map(str, config.invocation_params.args),
    ]
    folder = Path(config.invocation_params.dir)
    arguments = [word for argument in arguments for word in _from_file(argument, folder)]
    return Launch(
        folder=folder,
        root=config.rootpath,
        ini=config.inipath,
        arguments=tuple(arguments),
        positionals=tuple(map(str, config.args)),
        here_first="" in sys.path or str(folder) in sys.path,
        around=project_of(config).around,
        environment=environment or {},
    )


def _from_file(argument: str, folder: Path) -> list[str]:
    """The arguments in the file that `@FILE` names, one a line, as pytest reads it; any other argument itself."""
    if not argument.startswith("@"):
        return [argument]
    try:
        return (folder / argument[1:]).read_text("utf-8").splitlines()
    except OSError:
        return []
