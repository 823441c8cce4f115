"""The tests of a session as they ran: what running some of them again needs to know."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_starcoder.runner.launch import Launch
    from pytest_starcoder.runner.outcome import FinishedTest

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
    def ran(self) -> list[FinishedTest]:
        from pytest_starcoder.runner.outcome import FinishedTest

        return [FinishedTest(nodeid, *fields) for nodeid, fields in self._found.items()]  # type: ignore[arg-type]

    @property
    def files(self) -> set[str]:
        """The files that the tests are in, relative to the root."""
        return {nodeid.partition("::")[0] for nodeid in self._found}


def launch_of(config: pytest.Config, environment: Mapping[str, str] | None = None) -> Launch:
    """How the session was started, as far as a child needs to know to run its tests in the same way."""
    from pytest_starcoder.runner.launch import Launch
    from pytest_starcoder.session.project import project_of

    arguments = [
        *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        *config.getini("addopts"),
        *map(str, config.invocation_params.args),
    ]
    folder = Path(config.invocation_params.dir)
    arguments = [word for argument in arguments for word in _from_file(argument, folder)]
    plugins, obstacle = _plugins(config)
    return Launch(
        folder=folder,
        root=config.rootpath,
        ini=config.inipath,
        arguments=(*plugins, *_joined(arguments, config), *seed_option(config)),
        positionals=tuple(map(str, config.args)),
        here_first="" in sys.path or str(folder) in sys.path,
        around=project_of(config).around,
        environment=environment or {},
        obstacle=obstacle,
    )


def seed_option(config: pytest.Config) -> tuple[str, ...]:
    """Return the option that repeats the seed of pytest-randomly, if it is in use."""
    seed = config.getoption("randomly_seed", None)
    return (
        (f"--randomly-seed={seed}",) if _uses(config, "randomly") and isinstance(seed, int) else ()
    )


def _uses(config: pytest.Config, plugin: str) -> bool:
    """Return whether a plugin is loaded, by the name of its entry point or of its module (`-p`)."""
    return any(map(config.pluginmanager.hasplugin, (plugin, f"pytest_{plugin}")))


def rerun_options(config: pytest.Config, tests: int) -> list[str]:
    """Return the options that `tests` tests need to run as before, under the same names."""
    options = [*seed_option(config)]
    if options and tests > 1:
        options.append("--randomly-dont-reorganize")
    count = config.getoption("count", None)
    if _uses(config, "repeat") and isinstance(count, int) and count > 1:
        options.append(f"--count={count}")  # pytest-repeat puts it into the names of the tests
    return options


def _plugins(config: pytest.Config) -> tuple[list[str], str]:
    """Return options that load the plugins of `pytest.main(plugins=…)`, and why not all can be.

    A child loads a module or a name by name. An object exists only in this process, which does
    not matter if it only observes the run.
    """
    options: list[str] = []
    for plugin in config.invocation_params.plugins or ():
        if (
            isinstance(plugin, ModuleType)
            and plugin.__name__ in sys.modules
            and plugin.__name__ != "__main__"
        ):
            options += ["-p", plugin.__name__]
        elif isinstance(plugin, str):
            options += ["-p", plugin]
        elif gives := _given_to_tests(plugin):
            kind = type(plugin).__name__
            obstacle = (
                f"pytest.main() was given a plugin object ({kind}, with {gives}), "
                "which cannot be passed to another process"
            )
            return options, obstacle
    return options, ""


def _given_to_tests(plugin: object) -> str:
    """Return the name of a hook or fixture by which `plugin` affects tests; empty if none."""
    for name in dir(plugin):
        value = getattr(plugin, name, None)
        is_fixture = "Fixture" in type(value).__name__ or hasattr(value, "_pytestfixturefunction")
        if is_fixture or (name.startswith("pytest_") and name not in WATCHING):
            return name
    return ""


WATCHING = frozenset(
    """
    pytest_configure pytest_unconfigure pytest_sessionstart pytest_sessionfinish pytest_terminal_summary
    pytest_report_header pytest_report_collectionfinish pytest_report_teststatus pytest_warning_recorded
    pytest_collectstart pytest_collectreport pytest_itemcollected pytest_collection_finish pytest_deselected
    pytest_runtest_logstart pytest_runtest_logreport pytest_runtest_logfinish pytest_exception_interact
    pytest_internalerror pytest_keyboard_interrupt pytest_plugin_registered pytest_make_collect_report
    """.split()
)
"""Hooks that only observe a run and do not affect what tests do."""


def _joined(arguments: Sequence[str], config: pytest.Config) -> Iterator[str]:
    """Yield the arguments, with long options and their value as one word: `--alluredir=results`.

    Options that pytest's parser does not know are left as they are.
    """
    actions = _actions(config)
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            yield from (word, *waiting)
            return
        count = getattr(actions.get(word), "nargs", 0) if word.startswith("--") else 0
        takes_next = bool(waiting) and (
            count is None or (count == "?" and not waiting[0].startswith("-"))
        )
        yield f"{word}={waiting.pop(0)}" if takes_next else word


def _actions(config: pytest.Config) -> Mapping[str, object]:
    """Return the options of pytest's parser by name; empty if its internals have changed."""
    parser: Any = getattr(config, "_parser", None)
    optparser = getattr(parser, "optparser", None)
    if optparser is None and hasattr(parser, "_getparser"):  # pytest 8
        optparser = parser._getparser()
    actions: Mapping[str, object] = getattr(optparser, "_option_string_actions", {})
    return actions


def _from_file(argument: str, folder: Path) -> list[str]:
    """The arguments in the file that `@FILE` names, one a line, as pytest reads it; any other argument itself."""
    if not argument.startswith("@"):
        return [argument]
    try:
        return (folder / argument[1:]).read_text("utf-8").splitlines()
    except OSError:
        return []
