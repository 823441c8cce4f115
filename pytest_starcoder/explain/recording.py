"""Which functions of the project ran since a test began: in goes which files are its own, out comes their code.

They are seen while they run, at some hundredths of a passing suite's time,
because nothing is looked at for long. Of two tools of `sys.monitoring` the
first sees every function of the process start, and each only once: it finds
those of the project. The second counts, in those alone, and once a function
has run a few times lets go of it until the next test begins.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from inspect import CO_OPTIMIZED
from types import CodeType
from typing import Any

HITS = 6
"""Starts of a function in one test after which it is no longer watched: letting go costs as much as some starts."""

TOOL_IDS = (5, 4, 3)
"""The tools' ids, the first two that are free: 0 to 2 are debuggers', coverage's and profilers', 3 is Hypothesis's."""

NAME = "pytest-starcoder"

monitoring: Any = getattr(sys, "monitoring", None)  # new in Python 3.12
EVENTS: tuple[int, ...] = (
    (monitoring.events.PY_START, monitoring.events.PY_RESUME) if monitoring else ()
)


class Recording:
    """Which functions of the project run, between `begin` and `executed`, in whatever thread.

    Functions are what `def`, `async def` and `lambda` make. Modules and bodies
    of classes are none, nor is a comprehension or a generator expression: the
    function that it stands in runs it. A generator or coroutine that was
    started before `begin` counts where it is resumed, unless by an exception
    that is thrown into it.
    """

    def __init__(self, wanted: Callable[[str], bool], finder: int, counter: int) -> None:
        """Use `start`: this one watches nothing yet, by the tools of these two ids."""
        self._wanted = lru_cache(maxsize=None)(wanted)
        self._finder = finder
        self._counter = counter
        self._found: dict[
            int, CodeType
        ] = {}  # by id: the hash of code walks it, and equal code may be of another file
        self._hits: dict[int, int] = {}
        self._let_go: list[CodeType] = []
        self._turn = (
            threading.RLock()
        )  # reentrant: a finalizer or signal may run the user's code amid `begin`
        self._stopped = False

    @classmethod
    def start(cls, wanted: Callable[[str], bool]) -> Recording | None:
        """Records from now on, of the files for which `wanted` holds; None on Python 3.11, or where others watch."""
        tools = _take_tools() if monitoring else []
        if not tools:
            return None
        recording = cls(wanted, *tools)
        atexit.register(
            recording.stop
        )  # a callback that outlived the globals of its module would raise
        _call(recording._finder, recording._find)
        _call(recording._counter, recording._count)
        monitoring.set_events(recording._finder, sum(EVENTS))
        monitoring.restart_events()  # else what an earlier tool of this id disabled stays unseen; dear, so once
        return recording

    def begin(self) -> None:
        """A test starts: what ran before is forgotten."""
        with self._turn:
            let_go, self._let_go, self._hits = self._let_go, [], {}
            for code in let_go:
                self._listen(code)

    def executed(self) -> list[CodeType]:
        """Code of the functions that ran since `begin`, each once, in the order in which they first did."""
        return [self._found[key] for key in list(self._hits)]

    def stop(self) -> None:
        """Watches no longer and gives the tools back; what was recorded stays."""
        if self._stopped:
            return
        self._stopped = True
        self._let_go.clear()
        atexit.unregister(self.stop)
        for tool in (self._finder, self._counter):
            if (
                monitoring.get_tool(tool) is None
            ):  # somebody freed it, which leaves its events and callbacks behind
                monitoring.use_tool_id(tool, NAME)
        if monitoring.get_tool(self._finder) == NAME:
            monitoring.set_events(self._finder, 0)
            _call(self._finder, None)
            monitoring.free_tool_id(self._finder)
        if monitoring.get_tool(self._counter) == NAME:
            for code in list(self._found.values()):
                monitoring.set_local_events(self._counter, code, 0)
            _call(self._counter, None)
            monitoring.free_tool_id(self._counter)

    # --- called by the interpreter, in any thread, in the midst of the user's code --------------

    def _find(self, code: CodeType, offset: int) -> object:
        """A function starts that was never seen before: it is not seen here again, but by the counter if it is ours."""
        try:
            if _is_function(code) and self._wanted(code.co_filename):
                self._found[id(code)] = code
                self._listen(code)
                self._hits.setdefault(
                    id(code), 1
                )  # the counter hears of the next start, not of this one
        except (
            RecursionError
        ):  # the user's code has no room left for this, but perhaps still for its own
            return None
        return monitoring.DISABLE

    def _count(self, code: CodeType, offset: int) -> None:
        hits, key = self._hits, id(code)
        hits[key] = count = hits.get(key, 0) + 1
        if count >= HITS and self._turn.acquire(blocking=False):
            try:
                if hits is self._hits:  # else another thread has begun a test since
                    self._let_go.append(code)
                    self._listen(code, 0)
            finally:
                self._turn.release()

    def _listen(self, code: CodeType, events: int = sum(EVENTS)) -> None:
        """Has the counter hear of this function; with no events, no longer."""
        try:
            monitoring.set_local_events(self._counter, code, events)
        except (
            ValueError
        ):  # somebody freed every tool, not only their own: no reason to fail in the user's code
            return


def _take_tools() -> list[int]:
    """Two ids that were free and are ours now, or none."""
    free = [number for number in TOOL_IDS if monitoring.get_tool(number) is None]
    if len(free) < 2:
        return []
    for number in free[:2]:
        monitoring.use_tool_id(number, NAME)
    return free[:2]


def _call(tool: int, callback: Callable[[CodeType, int], object] | None) -> None:
    for event in EVENTS:
        monitoring.register_callback(tool, event, callback)


def _is_function(code: CodeType) -> bool:
    """Whether `def` or `lambda` made it; what else has a name in angle brackets is a part of something."""
    return bool(code.co_flags & CO_OPTIMIZED) and (
        code.co_name[0] != "<" or code.co_name == "<lambda>"
    )
