"""A review from its beginning to its exit status, for a hook, for CI and for a person at a terminal."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_starcoder.errors import (
    BackendUnavailable,
    ConfigError,
    MissingExtra,
    MissingModel,
    StarcoderError,
)
from pytest_starcoder.files import UNLINK, LeadsOutside, replace_file
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.client import Client
from pytest_starcoder.review import background, baseline
from pytest_starcoder.review.finding import Review, Unreviewed
from pytest_starcoder.review.hook_terminal import Screen
from pytest_starcoder.review.model_review import Remarks, ask_about, reviewed
from pytest_starcoder.review.selected import Found
from pytest_starcoder.review.store import Kept
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import counted, one_line

RESERVE = 0.3
"""Seconds of the time allowed that are kept for what comes after the last answer."""

PASSED, FAILED, NO_GIT, NO_MODEL = 0, 1, 2, 3


def review(found: Found, screen: Screen, started: float) -> Review:
    """The review of a change within the time that the settings allow, `started` (time.monotonic) then; it is kept."""
    if found.change.hunks:
        left = max(0.1, found.settings.review_time_budget - RESERVE - (time.monotonic() - started))
        total = found.change.total
        with screen.waiting(f"StarCoder reviews {counted(total, 'hunk')}") as far:
            result = _at_least_observed(found, left, lambda done: far(f", {done} of {total} done"))
    else:
        result = reviewed(found.change, found.observed, Remarks(), found.settings, found.accepted)
    result = replace(result, seconds=time.monotonic() - started, notes=_news(found))
    if found.kept is not None:
        found.kept.keep(result)
    return result


def status_of(result: Review, settings: Settings) -> int:
    """Return the exit status for a review.

    0: nothing stops the commit, perhaps because there is no model; 1: a finding does; 2: git could
    not read some of the change; 3: a model is required and has not looked at every hunk it should.
    """
    if result.failed:
        return FAILED
    if result.git_error:
        return NO_GIT
    if settings.review_require_model and (result.away or result.missed):
        return NO_MODEL
    return PASSED


def review_unwatched(found: Found, seconds: float) -> Review:
    """Review a change within `seconds` without showing progress; the result is not saved."""
    return _at_least_observed(found, seconds, lambda _done: None)


def accept(name: str = "last") -> str:
    """Write the findings of the last review into the baseline; return what to do next.

    Raises ConfigError if it cannot be written or a link leads out of the repository.
    """
    from pytest_starcoder.review.change_selection import read
    from pytest_starcoder.source.git import Repository

    repository = Repository(Path.cwd())
    record = Kept(repository.folder).record(name)
    if record is None or not record["findings"]:
        return "The last review here has no findings: nothing was accepted."
    path = repository.top / baseline.NAME
    text, new = baseline.with_findings(read(path), record["findings"])
    try:
        replace_file(path, text.encode("utf-8"), repository.top)
    except OSError as exc:
        hint = UNLINK if isinstance(exc, LeadsOutside) else "Make it a writable file."
        raise ConfigError(
            f"Nothing was accepted: {baseline.NAME} cannot be written ({exc.strerror or exc}).",
            hint,
        ) from exc
    return (
        f"{counted(new, 'finding')} accepted, written to {baseline.NAME}. "
        f"Commit it with the change: git add {baseline.NAME}"
    )


def _at_least_observed(found: Found, seconds: float, progress: Callable[[int], None]) -> Review:
    """Review a change; an internal error while asking the model never loses observed findings."""
    try:
        return _with_model(found, seconds, progress)
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 - observed findings count, whatever the error
        return _without_model(
            found, StarcoderError(f"Asking the model failed: {type(exc).__name__}: {exc}.")
        )


def _with_model(found: Found, seconds: float, progress: Callable[[int], None]) -> Review:
    """The review of a change within so many seconds, by a model where there is one."""
    settings = replace(found.settings, session_timeout=seconds)
    try:
        backend = make_backend(settings)
    except (BackendUnavailable, MissingExtra, MissingModel) as exc:
        return _without_model(found, exc)
    with Client(backend, settings, found.cache) as client:
        client.allow(seconds)
        try:
            model = client.model()
        except StarcoderError as exc:
            return replace(_without_model(found, exc), server=backend.label)
        places = {(told.path, told.line): told for told in found.observed}
        remarks = ask_about(found.change, places, client, found.cache, found.name, progress)
        result = reviewed(found.change, found.observed, remarks, settings, found.accepted)
        return replace(result, model=model.name, server=backend.label, calls=client.calls)


def _without_model(found: Found, why: StarcoderError) -> Review:
    """The review of a change where no model can be asked at all."""
    remarks = Remarks()
    remarks.away = why
    for hunk in found.change.hunks:
        remarks.missing.setdefault(
            hunk.number, Unreviewed(hunk.path, one_line(why.message, 200), 1)
        )
    return reviewed(found.change, found.observed, remarks, found.settings, found.accepted)


def _news(found: Found) -> tuple[str, ...]:
    """Return the new reports of background reviews, as lines.

    Empty under a hook framework, which may hide them: there the post-commit hook prints them.
    """
    if found.folder is None or os.environ.get("PRE_COMMIT") == "1":
        return ()
    with contextlib.suppress(OSError):
        return tuple(background.notes(str(found.folder)))
    return ()
