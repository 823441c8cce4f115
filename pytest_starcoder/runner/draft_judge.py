"""Runs drafts of test modules in a fork: outcomes, executed lines and side effects."""

from __future__ import annotations

import ast
import os
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from pytest_starcoder.runner.draft_modules import collect_items
from pytest_starcoder.runner.fork_server import exit_if_forked
from pytest_starcoder.runner.outcome import Arcs, Lines
from pytest_starcoder.runner.supervisor import descendants
from pytest_starcoder.runner.trace import Tracer
from pytest_starcoder.runner.worker_messages import DraftModule, Judgement, Record
from pytest_starcoder.source.project import in_project
from pytest_starcoder.text.display import one_line

T = TypeVar("T")

ROUND_SEEDS = 1, 2
"""Seeds of `random` in each round: the first number of one is small, of the other large."""

MAX_PROBLEM = 200
"""Characters of the reason why a draft cannot be imported."""

CONTAINERS = (list, dict, set, bytearray, deque)

MAX_ENTRIES = 1000
"""Entries up to which the content of a container is compared."""

RunItems = Callable[[Sequence[pytest.Item], float], list[Record]]
"""Runs items, each for at most so many seconds of processor time."""


def judge_drafts(
    session: pytest.Session, modules: Sequence[DraftModule], run: RunItems, limit: float
) -> Judgement:
    """Run the tests of draft modules in order, then in reverse.

    Executed lines are recorded in the first round. Modules without tests are a problem.
    """
    root = session.config.rootpath
    process = os.getpid()
    before = _surroundings()
    names = set[str]().union(*(_mentioned_names(source) for _, source in modules))
    globals_before = _global_state(names, root)
    items: list[pytest.Item] = []
    try:
        for path, source in modules:
            items += collect_items(session, Path(path), source)
    except BaseException as exc:  # noqa: BLE001 - a draft may raise anything, SystemExit too
        problem = f"{type(exc).__name__}: {exc}"
        return Judgement(one_line(problem, MAX_PROBLEM))
    if not items:
        return Judgement("no test")
    recorder = _Recorder(root, {path for path, _ in modules})
    first_round = recorder.run(items, run, limit)
    random.seed(ROUND_SEEDS[1])
    second_round = run(items[::-1], limit)
    exit_if_forked(process)
    side_effects = _differences(before, _surroundings())
    if _differences(globals_before, _global_state(names, root)):
        side_effects.append("global state")
    return Judgement(
        rounds=(tuple(first_round), tuple(second_round)),
        lines=recorder.lines,
        arcs=recorder.arcs,
        side_effects=tuple(side_effects),
    )


class _Recorder:
    """Records the lines and arcs of the project that each test executes."""

    def __init__(self, root: Path, drafts: set[str]) -> None:
        self.lines: dict[str, Lines] = {}
        self.arcs: dict[str, Arcs] = {}
        self._root = root
        self._tracer = Tracer(
            lambda filename: filename not in drafts and in_project(filename, root), record_arcs=True
        )

    def run(self, items: Sequence[pytest.Item], run: RunItems, limit: float) -> list[Record]:
        """Run items one by one, each with the seed of the first round."""
        process = os.getpid()
        records: list[Record] = []
        for item in items:
            self._tracer.clear()
            self._tracer.start()
            try:
                random.seed(ROUND_SEEDS[0])
                records += run([item], limit)
                exit_if_forked(process)
            finally:
                self._tracer.stop()
            self.lines[item.nodeid] = self._by_relative_path(self._tracer.lines)
            self.arcs[item.nodeid] = self._by_relative_path(self._tracer.arcs)
        return records

    def _by_relative_path(self, by_file: Mapping[str, set[T]]) -> dict[str, frozenset[T]]:
        by_path = {}
        for file, entries in by_file.items():
            by_path[Path(file).relative_to(self._root).as_posix()] = frozenset(entries)
        return by_path


def _surroundings() -> Mapping[str, object]:
    """Return what a test must restore: variables, working folder, files, processes, threads."""
    variables = dict(os.environ)
    variables.pop("PYTEST_CURRENT_TEST", None)
    state: dict[str, object] = {
        "the environment": variables,
        "the working folder": str(Path.cwd()),
        "a process": bool(descendants(os.getpid())),
        "a thread": threading.active_count(),
    }
    for name in ("HOME", "TMPDIR"):
        folder = os.environ.get(name)
        if folder:
            files = map(str, Path(folder).rglob("*"))
            # Without the temporary folders of pytest, which it keeps.
            state[f"files in {name}"] = {file for file in files if "pytest-of-" not in file}
    return state


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    changed = []
    for name, value in before.items():
        if after.get(name) != value:
            changed.append(name)
    return changed


# --- state that other tests see ------------------------------------------------------------


def _mentioned_names(source: str) -> set[str]:
    """Return all names in a module.

    State that is not named there changes only through the code under test, which may do so.
    """
    names: set[str] = set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return names
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                names.add(name)
            case ast.alias(name=name):
                names.update(name.split("."))
            case ast.Constant(value=str(text)) if text.isidentifier():
                names.add(text)  # an argument of setattr or patch
    return names


def _global_state(names: set[str], root: Path) -> dict[str, object]:
    """Return fingerprints of the mentioned globals, and of the mentioned attributes of classes.

    Only modules of the project and those that are mentioned themselves count.
    """
    state: dict[str, object] = {}
    for module_name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType):
            continue
        namespace = vars(module)
        package, _, _ = module_name.partition(".")
        file = namespace.get("__file__") or ""
        if package not in names and not in_project(file, root):
            continue
        for name in names & namespace.keys():
            value = namespace[name]
            state[f"{module_name}.{name}"] = _fingerprint(value)
            if not isinstance(value, type):
                continue
            attributes = vars(value)
            for attribute in names & attributes.keys():
                key = f"{module_name}.{name}.{attribute}"
                state[key] = _fingerprint(attributes[attribute])
    return state


def _fingerprint(value: object) -> object:
    if isinstance(value, CONTAINERS) and len(value) <= MAX_ENTRIES:
        try:
            return id(value), repr(value)
        except Exception:  # noqa: BLE001 - somebody's __repr__ may raise anything
            pass
    return id(value)
