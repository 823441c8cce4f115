"""Records which functions of the project run in a test, through `sys.monitoring`.

Recording costs a few percent of a passing suite's time because most events are soon disabled.
It uses two monitoring tools. The finder sees the first start of every function in the process
and picks out those of the project. The counter sees only these, and ignores a function that
has run a few times until the next test begins.
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

MAX_STARTS = 6
"""Number of starts in one test after which a function is ignored.

Not 1, because ignoring a function costs as much as several starts.
"""

TOOL_IDS = (5, 4, 3)
"""Ids of monitoring tools; the first two free ones are used.

0 to 2 are reserved for debuggers, coverage and profilers; Hypothesis uses 3.
"""

TOOL_NAME = "pytest-starcoder"

monitoring: Any = getattr(sys, "monitoring", None)  # new in Python 3.12
EVENTS: tuple[int, ...] = ()
if monitoring:
    EVENTS = (monitoring.events.PY_START, monitoring.events.PY_RESUME)


class Recording:
    """The project's functions that run between `begin` and `executed`, in any thread.

    Functions are created by `def`, `async def` and `lambda`; modules, class bodies and
    comprehensions do not count. A generator or coroutine that was started before `begin` counts
    when it is resumed, unless an exception is thrown into it.
    """

    def __init__(self, is_recorded: Callable[[str], bool], finder: int, counter: int) -> None:
        """Create a recording that is not active; use `start` instead."""
        self._is_recorded = lru_cache(maxsize=None)(is_recorded)
        self._finder = finder
        self._counter = counter
        # By id: hashing a code object is slow, and equal code may come from different files.
        self._codes: dict[int, CodeType] = {}
        self._starts: dict[int, int] = {}
        self._ignored: list[CodeType] = []
        # Reentrant: a finalizer or a signal may run the user's code during `begin`.
        self._lock = threading.RLock()
        self._is_stopped = False

    @classmethod
    def start(cls, is_recorded: Callable[[str], bool]) -> Recording | None:
        """Start recording functions of the files for which `is_recorded` is true.

        Return None on Python 3.11, or if other tools have taken the ids.
        """
        tools = _take_tools() if monitoring else []
        if not tools:
            return None
        recording = cls(is_recorded, *tools)
        # A callback that outlives the globals of its module would raise.
        atexit.register(recording.stop)
        _register_callback(recording._finder, recording._find)
        _register_callback(recording._counter, recording._count)
        monitoring.set_events(recording._finder, sum(EVENTS))
        # An earlier tool with this id may have disabled events. This call is slow, so only here.
        monitoring.restart_events()
        return recording

    def begin(self) -> None:
        """Start a new test: forget the functions that ran before."""
        with self._lock:
            ignored = self._ignored
            self._ignored, self._starts = [], {}
            for code in ignored:
                self._listen(code)

    def executed(self) -> list[CodeType]:
        """Return the functions that ran since `begin`, in the order of their first start."""
        return [self._codes[key] for key in list(self._starts)]

    def stop(self) -> None:
        """Stop recording and free the tools; `executed` still returns what was recorded."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._ignored.clear()
        atexit.unregister(self.stop)
        for tool in (self._finder, self._counter):
            # If other code freed our tool, its events and callbacks are still registered.
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, TOOL_NAME)
        if monitoring.get_tool(self._finder) == TOOL_NAME:
            monitoring.set_events(self._finder, 0)
            _register_callback(self._finder, None)
            monitoring.free_tool_id(self._finder)
        if monitoring.get_tool(self._counter) == TOOL_NAME:
            for code in list(self._codes.values()):
                monitoring.set_local_events(self._counter, code, 0)
            _register_callback(self._counter, None)
            monitoring.free_tool_id(self._counter)

    # --- callbacks: the interpreter calls them in any thread, in the middle of user code --------

    def _find(self, code: CodeType, offset: int) -> object:
        """Pass a function of the project to the counter; the finder sees each function once."""
        try:
            if _is_function(code) and self._is_recorded(code.co_filename):
                self._codes[id(code)] = code
                self._listen(code)
                # The counter sees only the starts after this one.
                self._starts.setdefault(id(code), 1)
        except RecursionError:  # the user's code may still have enough stack
            return None
        return monitoring.DISABLE

    def _count(self, code: CodeType, offset: int) -> None:
        starts = self._starts
        key = id(code)
        count = starts.get(key, 0) + 1
        starts[key] = count
        # Without waiting: a callback that blocks could deadlock the user's threads.
        if count >= MAX_STARTS and self._lock.acquire(blocking=False):
            try:
                if starts is self._starts:  # no other thread has begun a new test
                    self._ignored.append(code)
                    self._listen(code, 0)
            finally:
                self._lock.release()

    def _listen(self, code: CodeType, events: int = sum(EVENTS)) -> None:
        """Enable the counter's events of a function; disable them if `events` is 0."""
        try:
            monitoring.set_local_events(self._counter, code, events)
        except ValueError:
            # Other code freed our tool, which is no reason to fail inside the user's code.
            return


def _take_tools() -> list[int]:
    """Return the ids of two tools that were free, or none."""
    free = [number for number in TOOL_IDS if monitoring.get_tool(number) is None][:2]
    if len(free) < 2:
        return []
    for number in free:
        monitoring.use_tool_id(number, TOOL_NAME)
    return free


def _register_callback(tool: int, callback: Callable[[CodeType, int], object] | None) -> None:
    for event in EVENTS:
        monitoring.register_callback(tool, event, callback)


def _is_function(code: CodeType) -> bool:
    """Return whether code belongs to a `def` or `lambda`, not to a class or comprehension."""
    is_named = code.co_name[0] != "<" or code.co_name == "<lambda>"
    # The code of a class body is not optimized.
    return is_named and bool(code.co_flags & CO_OPTIMIZED)
