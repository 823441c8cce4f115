"""Calls from hooks of plugins, and calls of tests that hooks run."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_starcoder.runner.hook_callers import HookCallers


class Log:
    """Asks at several points whether the call comes from a hook."""

    def __init__(self) -> None:
        self.manager = pytest.PytestPluginManager()
        self.manager.register(self)
        self.callers = HookCallers(self.manager)
        self.answers: list[bool] = []

    def ask(self) -> None:
        self.answers.append(self.callers.is_from_hook())

    def pytest_unconfigure(self) -> None:
        self.ask()

    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool:
        self.ask()
        pyfuncitem.obj()
        return True

    def call(self, test: Callable[[], object]) -> list[bool]:
        self.manager.hook.pytest_pyfunc_call(pyfuncitem=SimpleNamespace(obj=test))
        return self.answers


def test_hook() -> None:
    log = Log()
    log.manager.hook.pytest_unconfigure(config=None)
    assert log.answers == [True]


def test_outside_any_hook() -> None:
    log = Log()
    log.ask()
    assert log.answers == [True]


def test_test_run_by_hook() -> None:
    log = Log()

    def test() -> None:
        log.ask()

    assert log.call(test) == [True, False]


def test_decorated_test() -> None:
    log = Log()

    def test() -> None:
        log.ask()

    @functools.wraps(test)
    def decorated() -> None:
        test()

    assert log.call(decorated) == [True, False]


def test_thread_of_test() -> None:
    log = Log()

    def test() -> None:
        thread = threading.Thread(target=log.ask)
        thread.start()
        thread.join()

    assert log.call(test) == [True, False]


def test_hook_within_test() -> None:
    """Hooks of another plugin manager belong to the code under test."""
    log, inner = Log(), Log()

    def test() -> None:
        inner.manager.hook.pytest_unconfigure(config=None)

    inner.callers = log.callers
    log.call(test)
    assert inner.answers == [False]
