"""A draft of a test module run in a fork: what its tests do, what they execute, and what they leave behind."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.runner.confine import descendants
from pytest_starcoder.runner.drafted import items_of
from pytest_starcoder.runner.trace import Tracer
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.shown import in_project

SEEDS = 1, 2
"""Of chance, in either round: the first number of the one is small, that of the other large."""

Run = Callable[[Sequence[pytest.Item], float], list[dict[str, Any]]]
"""Runs items, each for so many seconds of processor time at the most; a record each."""


def judged(session: pytest.Session, path: Path, source: str, run: Run, limit: float) -> dict[str, Any]:
    """What becomes of a draft that stands at `path`.

    `problem` says why it has no tests, empty where it has some; `rounds` are the
    records of its tests in their order and then in reverse, `lines` what each
    executed of the project the first time, `left` what was otherwise afterwards.
    """
    before, own = _surroundings(), os.getpid()
    try:
        items = items_of(session, path, source)
    except BaseException as exc:  # noqa: BLE001 - a draft may raise anything, SystemExit too
        return {"problem": one_line(f"{type(exc).__name__}: {exc}", 200), "rounds": [], "lines": {}, "left": []}
    if not items:
        return {"problem": "no test", "rounds": [], "lines": {}, "left": []}
    root = session.config.rootpath
    tracer = Tracer(lambda filename: filename != str(path) and in_project(filename, root))
    lines: dict[str, dict[str, list[int]]] = {}
    first: list[dict[str, Any]] = []
    for item in items:
        tracer.lines = {}
        tracer.start(values=False)
        try:
            random.seed(SEEDS[0])
            first += run([item], limit)
            if os.getpid() != own:
                os._exit(0)
        finally:
            tracer.stop()
        lines[item.nodeid] = {
            Path(file).relative_to(root).as_posix(): sorted(numbers) for file, numbers in tracer.lines.items()
        }
    random.seed(SEEDS[1])
    second = run(items[::-1], limit)
    if os.getpid() != own:
        os._exit(0)  # a test has forked, and this is not the process that was to run it
    left = [what for what, now in _surroundings().items() if before.get(what) != now]
    return {"problem": "", "rounds": [first, second], "lines": lines, "left": left}


def _surroundings() -> Mapping[str, object]:
    """What a test must leave as it is: variables, the folder, and files where it could write some."""
    places = {name: os.environ.get(name, "") for name in ("HOME", "TMPDIR")}
    return {
        "the environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "the working folder": str(Path.cwd()),
        "a process": bool(descendants(os.getpid())),
        **{
            f"files in {name}": sorted(str(found) for found in Path(place).rglob("*") if "pytest-of-" not in str(found))
            for name, place in places.items()
            if place
        },
    }
