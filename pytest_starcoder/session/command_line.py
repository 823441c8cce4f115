"""The command line of a session, as it is needed to run some of its tests again."""

from __future__ import annotations

import contextlib
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


def session_launch(config: pytest.Config, environment: Mapping[str, str] | None = None) -> Launch:
    """Return how the session was started, for a child that runs its tests in the same way."""
    from pytest_starcoder.runner.launch import Launch
    from pytest_starcoder.session.project_history import project_of

    folder = Path(config.invocation_params.dir)
    variable = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    words: list[str] = []
    for argument in (*variable, *config.getini("addopts"), *config.invocation_params.args):
        words += _expand_file(str(argument), folder)
    plugins, obstacle = _plugin_options(config)
    arguments = [*plugins, *_join_values(words, config), *_seed_options(config)]
    return Launch(
        folder=folder,
        root=config.rootpath,
        ini=config.inipath,
        arguments=tuple(arguments),
        positionals=tuple(map(str, config.args)),
        here_first="" in sys.path or str(folder) in sys.path,
        around=project_of(config).around,
        environment=environment or {},
        obstacle=obstacle,
    )


def rerun_arguments(config: pytest.Config, nodeids: Sequence[str]) -> list[str]:
    """Return the arguments that run these tests again, from the folder pytest was started in."""
    arguments = []
    ini = config.getoption("inifilename", None)
    if ini:
        arguments += ["-c", str(ini)]
    root = config.getoption("rootdir", None)
    if root:
        arguments.append(f"--rootdir={root}")
    seed = _seed_options(config)
    arguments += seed
    if seed and len(nodeids) > 1:
        arguments.append("--randomly-dont-reorganize")
    count = config.getoption("count", None)
    if _is_loaded(config, "repeat") and isinstance(count, int) and count > 1:
        arguments.append(f"--count={count}")  # pytest-repeat puts it into the names of the tests
    for nodeid in nodeids:
        arguments.append(_relative_nodeid(config, nodeid))
    return arguments


def _relative_nodeid(config: pytest.Config, nodeid: str) -> str:
    folder, root = config.invocation_params.dir, config.rootpath
    if folder == root:
        return nodeid
    path, colons, name = nodeid.partition("::")
    file = root / path
    with contextlib.suppress(ValueError):  # on Windows, another drive has no relative path
        file = Path(os.path.relpath(file, folder))
    return file.as_posix() + colons + name


def _seed_options(config: pytest.Config) -> list[str]:
    """Return the option that repeats the seed of pytest-randomly, if it is in use."""
    seed = config.getoption("randomly_seed", None)
    if _is_loaded(config, "randomly") and isinstance(seed, int):
        return [f"--randomly-seed={seed}"]
    return []


def _is_loaded(config: pytest.Config, plugin: str) -> bool:
    """Return whether a plugin is loaded, as an entry point or as a module (`-p`)."""
    hasplugin = config.pluginmanager.hasplugin
    return hasplugin(plugin) or hasplugin(f"pytest_{plugin}")


# --- plugins given to pytest.main() ---

OBSERVING_HOOKS = frozenset(
    """
    pytest_configure pytest_unconfigure pytest_sessionstart pytest_sessionfinish
    pytest_terminal_summary pytest_report_header pytest_report_collectionfinish
    pytest_report_teststatus pytest_warning_recorded pytest_collectstart pytest_collectreport
    pytest_itemcollected pytest_collection_finish pytest_deselected pytest_runtest_logstart
    pytest_runtest_logreport pytest_runtest_logfinish pytest_exception_interact
    pytest_internalerror pytest_keyboard_interrupt pytest_plugin_registered
    pytest_make_collect_report
    """.split()
)
"""Hooks that observe a run and do not affect what tests do."""


def _plugin_options(config: pytest.Config) -> tuple[list[str], str]:
    """Return options that load the plugins of `pytest.main(plugins=…)`, and why not all can be.

    A child loads a plugin by the name of its module. An object exists only in this
    process, which does not matter if it only observes the run.
    """
    options: list[str] = []
    for plugin in config.invocation_params.plugins or ():
        if isinstance(plugin, str):
            options += ["-p", plugin]
            continue
        name = plugin.__name__ if isinstance(plugin, ModuleType) else ""
        # A module made by hand cannot be imported again, and a child has another __main__.
        if name in sys.modules and name != "__main__":
            options += ["-p", name]
            continue
        attribute = _affecting_attribute(plugin)
        if attribute:
            obstacle = (
                f"pytest.main() was given a plugin object ({type(plugin).__name__}, "
                f"with {attribute}), which cannot be passed to another process"
            )
            return options, obstacle
    return options, ""


def _affecting_attribute(plugin: object) -> str:
    """Return the name of a hook or fixture by which `plugin` affects tests; empty if none."""
    for name in dir(plugin):
        if name.startswith("pytest_") and name not in OBSERVING_HOOKS:
            return name
        value = getattr(plugin, name, None)
        # pytest 8.4 has a class for fixtures, older versions mark the function.
        if "Fixture" in type(value).__name__ or hasattr(value, "_pytestfixturefunction"):
            return name
    return ""


# --- arguments ---


def _expand_file(argument: str, folder: Path) -> list[str]:
    """Return the lines of the file that an `@FILE` names, or the argument itself."""
    if not argument.startswith("@"):
        return [argument]
    try:
        return (folder / argument[1:]).read_text("utf-8").splitlines()
    except OSError:
        return []


def _join_values(words: Sequence[str], config: pytest.Config) -> Iterator[str]:
    """Yield the words, each long option in one word with its value: `--alluredir=results`.

    Options that pytest's parser does not know stay as they are.
    """
    actions = _parser_actions(config)
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if word == "--":
            yield from (word, *remaining)
            return
        if remaining and word.startswith("--") and word in actions:
            count = getattr(actions[word], "nargs", 0)
            if count is None or (count == "?" and not remaining[0].startswith("-")):
                word = f"{word}={remaining.pop(0)}"
        yield word


def _parser_actions(config: pytest.Config) -> Mapping[str, object]:
    """Return the options of pytest's parser by name; empty if its internals have changed."""
    parser: Any = getattr(config, "_parser", None)
    optparser = getattr(parser, "optparser", None)
    if optparser is None and hasattr(parser, "_getparser"):  # pytest 8
        optparser = parser._getparser()
    actions: Mapping[str, object] = getattr(optparser, "_option_string_actions", {})
    return actions
