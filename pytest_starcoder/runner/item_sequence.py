"""Runs the tests of a rerun one after the other, and some of them twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_starcoder.runner.item_runner import fresh_instance
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.rerun_job import Tracing
from pytest_starcoder.runner.result_caches import project_caches
from pytest_starcoder.runner.selection import ItemProtocol
from pytest_starcoder.source.project import Project


class ItemSequence:
    """Runs the items of a session as pytest does, sharing fixtures between them."""

    def __init__(self, session: pytest.Session, project: Project) -> None:
        self._session = session
        self._project = project
        self._protocol = ItemProtocol(session.config, project)
        self._caches: list[Any] | None = None  # finding them takes long
        self._following: pytest.Item | None = None

    def run(self, tracing: Tracing, outcomes: Mapping[str, Outcome]) -> None:
        """Run all items, and once more those of `tracing.twice` that failed.

        `outcomes` of those tests are added by the caller, whose hooks see every run.
        """
        twice = [item for item in self._session.items if item.nodeid in tracing.twice]
        self._run_all(tracing, twice)
        failed = []
        for item in twice:
            outcome = outcomes.get(item.nodeid)
            if outcome is not None and outcome.failed:
                failed.append(item)
        self._caches = None  # by now, there may be more of them
        for item, following in zip(failed, [*failed[1:], None], strict=True):
            if _is_late(tracing.until):
                break
            self._clear_caches()
            self._run(item, following)
        self._tear_down(None)

    def _run_all(self, tracing: Tracing, twice: list[pytest.Item]) -> None:
        """Run all items once; skip neighbours if there would be no time to run `twice` again."""
        items = self._session.items
        seconds = 0.0
        for item, following in zip(items, [*items[1:], *twice[:1], None], strict=False):
            is_twice = item.nodeid in tracing.twice
            if not is_twice and _is_late(tracing.until, seconds):
                continue
            started = time.time()
            if tracing.twice and not is_twice:
                self._clear_caches()
            self._run(item, following)
            if is_twice:
                seconds += time.time() - started

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        self._tear_down(item)
        is_method = getattr(item, "cls", None) is not None
        with fresh_instance(item) if is_method else contextlib.nullcontext():
            self._protocol.run(item, following)
        self._following = following
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)

    def _clear_caches(self) -> None:
        """Empty function caches; otherwise, only the first test would execute these functions."""
        if self._caches is None:
            self._caches = project_caches(self._project, of_arguments=True)
        for cache in self._caches:
            cache.cache_clear()

    def _tear_down(self, following: pytest.Item | None) -> None:
        """Tear down what `following` does not share, if another test was expected to be next."""
        if self._following is not None and self._following is not following:
            state: Any = self._session._setupstate
            with contextlib.suppress(Exception):
                state.teardown_exact(following)
            self._following = None


def _is_late(until: float, seconds: float = 0.0) -> bool:
    """Return whether it is too late for work of `seconds` to end by `until`; 0 is no limit."""
    return 0 < until < time.time() + seconds
