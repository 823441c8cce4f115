"""Drafts of test modules run in a fork: what their tests do, what they execute, and what they leave behind."""

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
from typing import Any

import pytest

from pytest_starcoder.runner.draft_modules import items_of
from pytest_starcoder.runner.supervisor import descendants
from pytest_starcoder.runner.trace import Tracer
from pytest_starcoder.source.project import in_project
from pytest_starcoder.text.display import one_line

SEEDS = 1, 2
"""Of chance, in either round: the first number of the one is small, that of the other large."""

CONTAINERS = (list, dict, set, bytearray, deque)

LARGEST = 1000
"""Entries of a container up to which what it holds is looked at."""

Run = Callable[[Sequence[pytest.Item], float], list[dict[str, Any]]]
"""Runs items, each for so many seconds of processor time at the most; a record each."""


def judged(
    session: pytest.Session, modules: Sequence[tuple[str, str]], run: Run, limit: float
) -> dict[str, Any]:
    """What becomes of drafts; each is the path at which it stands, and its source.

    `problem` says why they have no tests, empty where they have some; `rounds` are
    the records of the tests in their order and then in reverse, `lines` and `steps` what each
    executed of the project the first time, `left` what was otherwise afterwards.
    """
    root, own = session.config.rootpath, os.getpid()
    mentioned = _mentioned([source for _, source in modules])
    before, shared = _surroundings(), _globals(mentioned, root)
    items: list[pytest.Item] = []
    try:
        for path, source in modules:
            items += items_of(session, Path(path), source)
    except BaseException as exc:  # noqa: BLE001 - a draft may raise anything, SystemExit too
        return _unrun(one_line(f"{type(exc).__name__}: {exc}", 200))
    if not items:
        return _unrun("no test")
    paths = {path for path, _ in modules}
    tracer = Tracer(
        lambda filename: filename not in paths and in_project(filename, root), record_arcs=True
    )
    lines: dict[str, dict[str, list[int]]] = {}
    steps: dict[str, dict[str, list[tuple[int, int]]]] = {}
    first: list[dict[str, Any]] = []
    for item in items:
        tracer.clear()
        tracer.start(values=False)
        try:
            random.seed(SEEDS[0])
            first += run([item], limit)
            if os.getpid() != own:
                os._exit(0)
        finally:
            tracer.stop()
        lines[item.nodeid] = {
            _relative(file, root): sorted(numbers) for file, numbers in tracer.lines.items()
        }
        steps[item.nodeid] = {
            _relative(file, root): sorted(pairs) for file, pairs in tracer.arcs.items()
        }
    random.seed(SEEDS[1])
    second = run(items[::-1], limit)
    if os.getpid() != own:
        os._exit(0)  # a test has forked, and this is not the process that was to run it
    after, now = _surroundings(), _globals(mentioned, root)
    left = [what for what, then in before.items() if after.get(what) != then]
    if any(now.get(name) != then for name, then in shared.items()):
        left.append("global state")
    return {"problem": "", "rounds": [first, second], "lines": lines, "steps": steps, "left": left}


def _unrun(problem: str) -> dict[str, Any]:
    return {"problem": problem, "rounds": [], "lines": {}, "steps": {}, "left": []}


def _relative(file: str, root: Path) -> str:
    return Path(file).relative_to(root).as_posix()


def _surroundings() -> Mapping[str, object]:
    """What a test must leave as it is: variables, the folder, and files where it could write some."""
    places = {name: os.environ.get(name, "") for name in ("HOME", "TMPDIR")}
    return {
        "the environment": {
            name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"
        },
        "the working folder": str(Path.cwd()),
        "a process": bool(descendants(os.getpid())),
        "a thread": threading.active_count(),
        **{
            f"files in {name}": sorted(
                str(found) for found in Path(place).rglob("*") if "pytest-of-" not in str(found)
            )
            for name, place in places.items()
            if place
        },
    }


# --- what other tests see as well ---


def _mentioned(sources: Sequence[str]) -> set[str]:
    """All names in the sources: what a test does not name it may change through the code that it tests, as any call."""
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    found.add(name)
                case ast.alias(name=name):
                    found.update(name.split("."))
                case ast.Constant(value=str(text)) if text.isidentifier():
                    found.add(text)  # setattr, patch
    return found


def _globals(mentioned: set[str], root: Path) -> dict[str, object]:
    """What modules hold under names that are mentioned, those of the project and those that are mentioned."""
    found: dict[str, object] = {}
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType):
            continue
        held = vars(module)
        if name.partition(".")[0] not in mentioned and not in_project(
            held.get("__file__") or "", root
        ):
            continue
        for key in mentioned & held.keys():
            found[f"{name}.{key}"] = _fingerprint(held[key])
            if isinstance(held[key], type):
                parts = vars(held[key])
                found |= {
                    f"{name}.{key}.{part}": _fingerprint(parts[part])
                    for part in mentioned & parts.keys()
                }
    return found


def _fingerprint(value: object) -> object:
    if isinstance(value, CONTAINERS) and len(value) <= LARGEST:
        try:
            return id(value), repr(value)
        except Exception:  # noqa: BLE001 - somebody's __repr__ may raise anything
            return id(value)
    return id(value)
