"""Tells calls from plugins' hooks apart from calls of tests, by looking at the stack."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

import pytest

RUNS_TESTS = frozenset(
    """
    pytest_runtest_setup pytest_runtest_call pytest_runtest_teardown
    pytest_pyfunc_call pytest_fixture_setup
    pytest_make_collect_report pytest_pycollect_makemodule pytest_pycollect_makeitem
    pytest_generate_tests pytest_collect_file pytest_collect_directory
    pytest_make_parametrize_id pytest_runtest_makereport
    pytest_assertrepr_compare pytest_sessionfinish
    """.split()
)
"""Hooks in which pytest itself runs tests and fixtures; the last one tears down the rest."""

CALLS_TESTS = frozenset({"pytest_pyfunc_call", "pytest_fixture_setup"})
"""Those hooks in which a plugin may run tests instead, such as asyncio plugins."""

OUR_FOLDER = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120

MAX_WRAPPED = 20
"""Maximum depth of decorators around a test."""


class HookCallers:
    """Recognizes calls from hooks of `plugins`."""

    def __init__(self, plugins: pytest.PytestPluginManager) -> None:
        self._plugins = plugins

    def is_from_hook(self) -> bool:
        """Return whether the current call comes from a plugin's hook, and not from a test.

        True outside any hook: when a plugin is imported, and at exit.
        """
        called: list[CodeType] = []
        is_from_hook = self._is_hook_innermost(sys._getframe(1), called)
        main_thread = threading.main_thread()
        if is_from_hook is None and threading.current_thread() is not main_thread:
            # The test or hook that started this thread, most likely.
            main_frame = sys._current_frames().get(main_thread.ident or 0)
            is_from_hook = self._is_hook_innermost(main_frame, called)
        return is_from_hook is not False

    def _is_hook_innermost(self, frame: FrameType | None, called: list[CodeType]) -> bool | None:
        """Return whether the innermost hook call runs no test; None outside any.

        The codes that run below that hook are appended to `called`, innermost first.
        """
        while frame is not None:
            code = frame.f_code
            if code.co_name == "_multicall" and self._is_of_manager(frame):
                hook = str(frame.f_locals.get("hook_name"))
                arguments = frame.f_locals.get("caller_kwargs", {})
                return not _runs_test(hook, arguments, called[::-1])
            if code.co_name == "<module>" and code.co_filename.endswith("conftest.py"):
                return True
            called.append(code)
            frame = frame.f_back
        return None

    def _is_of_manager(self, frame: FrameType) -> bool:
        """Return whether this pytest calls the hook: the code under test may have hooks, too."""
        if not str(frame.f_globals.get("__name__")).startswith("pluggy"):
            return False
        caller = frame.f_back
        for _ in range(4):  # pluggy's own functions, with or without tracing
            if caller is None:
                return True
            plugins = caller.f_locals.get("self")
            if hasattr(plugins, "get_plugins"):
                return plugins is self._plugins
            caller = caller.f_back
        return True


def _runs_test(hook: str, arguments: Mapping[str, Any], called: Sequence[CodeType]) -> bool:
    """Return whether test code runs below a hook that was called with these arguments.

    `called` are the codes from the hook inwards, its implementation first.
    """
    if not called:
        return False
    implementation = called[0]
    if implementation.co_filename.startswith(OUR_FOLDER):
        return True  # drafts and observed calls: the sandbox decides what they may write
    if hook not in RUNS_TESTS:
        return False
    if f"{os.sep}_pytest{os.sep}" in implementation.co_filename:
        return True
    # A generator is a wrapper: it does not run the test itself.
    if hook not in CALLS_TESTS or implementation.co_flags & inspect.CO_GENERATOR:
        return False
    codes = _test_codes(arguments)
    return not codes or not codes.isdisjoint(called)


def _test_codes(arguments: Mapping[str, Any]) -> set[CodeType]:
    """Return the code of a hook's test or fixture, and of the functions that it wraps."""
    function = getattr(arguments.get("fixturedef"), "func", None)
    function = function or getattr(arguments.get("pyfuncitem"), "obj", None)
    codes: set[CodeType] = set()
    while function is not None and len(codes) < MAX_WRAPPED:
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            codes.add(code)
        function = getattr(function, "__wrapped__", None)
    return codes
