"""Chooses the passing tests that run next to a failing one in its replay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import TypeVar

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.text.display import natural

Value = TypeVar("Value")

MAX_NEIGHBOURS = 60
"""Maximum number of neighbours of one cause."""

MAX_OF_KIND = MAX_NEIGHBOURS // 3
"""Maximum number of neighbours of one kind, such as tests of the same class."""


def choose_neighbours(
    failure: Failure,
    test: FinishedTest,
    passed: Sequence[FinishedTest],
    read: Callable[[str], str],
) -> list[FinishedTest]:
    """Return passing tests near a failing one: of its function, its class, its file and its module.

    Near tests execute much of the same code. Tests spread over the file show which lines all
    tests execute. `read` returns the text of a file.
    """
    path = _path(test)
    kinds: list[list[FinishedTest]] = [[], [], []]
    for candidate in passed:
        if _path(candidate) == path:
            kinds[_distance(test, candidate)].append(candidate)
    neighbours: dict[str, FinishedTest] = {}
    for tests in kinds:
        _add(neighbours, _nearest(test, tests))
    # Tests far from the failing one run different code, which clears lines that all tests run.
    in_file = list(chain.from_iterable(kinds))
    _add(neighbours, spread(in_file, MAX_OF_KIND))
    modules = set()
    for frame in (*failure.callees, *failure.frames):
        if frame.path != path:
            modules.add(_module(PurePosixPath(frame.path)))
    if modules:
        elsewhere = _tests_of_modules(modules, path, passed, read)
        _add(neighbours, spread(elsewhere, MAX_OF_KIND))
    return list(neighbours.values())[:MAX_NEIGHBOURS]


def _add(neighbours: dict[str, FinishedTest], tests: Iterable[FinishedTest]) -> None:
    for test in tests:
        neighbours.setdefault(test.nodeid, test)


def _nearest(test: FinishedTest, tests: Sequence[FinishedTest]) -> list[FinishedTest]:
    """Return the tests just before and after a test in the order of node ids, alternately."""
    place = natural(test.nodeid)
    before = sum(natural(candidate.nodeid) < place for candidate in tests)
    middle = before - 0.5  # the place of the test itself, between the tests around it
    by_distance = sorted(range(len(tests)), key=lambda index: abs(index - middle))
    return [tests[index] for index in by_distance[:MAX_OF_KIND]]


def _tests_of_modules(
    modules: Iterable[str],
    path: str,
    passed: Sequence[FinishedTest],
    read: Callable[[str], str],
) -> list[FinishedTest]:
    """Return the tests in other files that mention one of the modules."""
    alternatives = "|".join(map(re.escape, sorted(modules)))
    # Whole words only: `shopping` does not mention `shop`.
    names = re.compile(rf"\b(?:{alternatives})\b")
    files = {_path(test) for test in passed} - {path}
    mentioning = {file for file in files if names.search(read(file))}
    return [test for test in passed if _path(test) in mentioning]


def spread(items: Sequence[Value], limit: int) -> list[Value]:
    """Return at most `limit` items, evenly spread, the first one included."""
    if len(items) <= limit:
        return list(items)
    indexes = [number * len(items) // limit for number in range(limit)]
    return [items[index] for index in indexes]


def _path(test: FinishedTest) -> str:
    return test.nodeid.partition("::")[0]


def _module(path: PurePosixPath) -> str:
    if path.stem == "__init__" and path.parent.name:
        return path.parent.name
    return path.stem


def _distance(test: FinishedTest, candidate: FinishedTest) -> int:
    """Return 0 for other parameters of the same function, 1 for the same class, and else 2."""
    name = test.nodeid.partition("::")[2]
    candidate_name = candidate.nodeid.partition("::")[2]
    if name.partition("[")[0] == candidate_name.partition("[")[0]:
        return 0
    test_class = name.rpartition("::")[0]
    if test_class and test_class == candidate_name.rpartition("::")[0]:
        return 1
    return 2
