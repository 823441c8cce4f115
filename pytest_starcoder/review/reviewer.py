"""Reviews a change, for a hook, for CI and for a person at a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable
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
from pytest_starcoder.model.backends.choice import choose
from pytest_starcoder.model.client import Client
from pytest_starcoder.review import background_hook, baseline
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.hook_terminal import HookTerminal
from pytest_starcoder.review.ignore_marks import IgnoreMarks
from pytest_starcoder.review.model_review import ModelReview, review_hunks
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.store import ReviewStore
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.git.repository import Repository
from pytest_starcoder.text.display import counted

RESERVE = 0.3
"""Seconds of the time budget for the work after the last answer."""

PASSED, FAILED, NO_GIT, NO_MODEL = 0, 1, 2, 3
"""Exit statuses."""


def review(review_input: ReviewInput, terminal: HookTerminal, started: float) -> Review:
    """Review a change within the time budget, and save the result.

    The budget began at `started` (time.monotonic), before the change was read.
    """
    if review_input.change.hunks:
        spent = time.monotonic() - started
        seconds = max(0.1, review_input.settings.review_time_budget - RESERVE - spent)
        total = review_input.change.total
        with terminal.waiting(f"StarCoder reviews {counted(total, 'hunk')}") as show:
            result = review_quietly(
                review_input, seconds, lambda done: show(f", {done} of {total} done")
            )
    else:
        result = compose_review(review_input, ModelReview())
    seconds = time.monotonic() - started
    result = replace(result, seconds=seconds, notes=_background_notes(review_input))
    if review_input.store is not None:
        review_input.store.save(result)
    return result


def review_quietly(
    review_input: ReviewInput, seconds: float, progress: Callable[[int], None] = lambda _done: None
) -> Review:
    """Review a change within `seconds`; the result is neither shown nor saved.

    An internal error while asking the model never loses observed findings.
    """
    try:
        return _review_with_model(review_input, seconds, progress)
    except ConfigError:
        raise  # the user has to fix it
    except Exception as exc:  # noqa: BLE001 - observed findings count, whatever the error
        error = StarcoderError(f"Asking the model failed: {type(exc).__name__}: {exc}.")
        return _review_without_model(review_input, error)


def exit_status(result: Review, settings: Settings) -> int:
    """Return the exit status for a review.

    0: nothing stops the commit, perhaps because there is no model; 1: a finding does; 2: git
    could not read some of the change; 3: a required model has not seen every hunk it should.
    """
    if result.failed:
        return FAILED
    if result.git_error:
        return NO_GIT
    if settings.review_require_model and (result.away or result.has_missed):
        return NO_MODEL
    return PASSED


def accept_last_review() -> str:
    """Add the findings of the last review to the baseline; return what to do next.

    Raises ConfigError if it cannot be written or a link leads out of the repository.
    """
    repository = Repository(Path.cwd())
    record = ReviewStore(repository.folder).load_record()
    if record is None or not record["findings"]:
        return "The last review here has no findings: nothing was accepted."
    path = repository.top / baseline.NAME
    text, added = baseline.add_findings(baseline.read(path), record["findings"])
    try:
        replace_file(path, text.encode("utf-8"), repository.top)
    except OSError as exc:
        hint = UNLINK if isinstance(exc, LeadsOutside) else "Make it a writable file."
        reason = exc.strerror or exc
        message = f"Nothing was accepted: {baseline.NAME} cannot be written ({reason})."
        raise ConfigError(message, hint) from exc
    return (
        f"{counted(added, 'finding')} accepted, written to {baseline.NAME}. "
        f"Commit it with the change: git add {baseline.NAME}"
    )


def _review_with_model(
    review_input: ReviewInput, seconds: float, progress: Callable[[int], None]
) -> Review:
    settings = replace(review_input.settings, session_timeout=seconds)
    try:
        choice = choose(settings)
        backend = make_backend(choice.settings)
    except (BackendUnavailable, MissingExtra, MissingModel) as exc:
        return _review_without_model(review_input, exc)
    cache = review_input.cache
    with Client(backend, choice.settings, cache) as client:
        client.fallback = choice.fallback
        client.allow(seconds)  # the budget also covers asking for the model's name
        try:
            model = client.model()
        except StarcoderError as exc:
            return replace(_review_without_model(review_input, exc), server=backend.label)
        observed = {(finding.path, finding.line): finding for finding in review_input.observed}
        by_model = review_hunks(
            review_input.change, observed, client, cache, review_input.repository_name, progress
        )
        result = compose_review(review_input, by_model)
        result = replace(result, model=model.name, server=backend.label, calls=client.calls)
        if client.fallback_note:
            result = replace(result, notes=(*result.notes, client.fallback_note))
        return result


def _review_without_model(review_input: ReviewInput, error: StarcoderError) -> Review:
    by_model = ModelReview()
    by_model.away = error
    # Every hunk is listed, so that no report looks as if a model had seen it.
    for hunk in review_input.change.hunks:
        by_model.miss(hunk, error.message)
    return compose_review(review_input, by_model)


def _background_notes(review_input: ReviewInput) -> tuple[str, ...]:
    """Return the new reports of background reviews, as lines.

    Empty under a hook framework, which may hide them: there the post-commit hook prints them.
    """
    if review_input.git_folder is None or os.environ.get("PRE_COMMIT") == "1":
        return ()
    with contextlib.suppress(OSError):
        return tuple(background_hook.notes(str(review_input.git_folder)))
    return ()


# --- findings to show ---


def compose_review(review_input: ReviewInput, by_model: ModelReview) -> Review:
    """Return the review with the observed findings and a model's, worst first.

    Accepted and ignored findings are only counted.
    """
    change, settings = review_input.change, review_input.settings
    marks = IgnoreMarks(change)
    min_severity = Severity[settings.review_min_severity.upper()]
    ignored = accepted = 0
    findings: list[Finding] = []
    for finding in _merge(review_input.observed, by_model.findings):
        if marks.cover(finding):
            ignored += 1
        elif review_input.accepted and finding.fingerprint in review_input.accepted:
            accepted += 1
        elif finding.severity >= min_severity:
            findings.append(finding)
    findings.sort(key=lambda finding: (-finding.severity, finding.path, finding.line))
    return Review(
        change.description,
        tuple(findings[: settings.review_max_findings]),
        total=change.total,
        reviewed=len(by_model.reviewed),
        files=change.files,
        unreviewed=(*change.unreviewed, *by_model.missing.values()),
        more=max(0, len(findings) - settings.review_max_findings),
        accepted=accepted,
        ignored=ignored,
        failed=any(finding.severity.reaches(settings.review_fail_on) for finding in findings),
        away=str(by_model.away or ""),
        git_error=change.git_error,
    )


def _merge(observed: Iterable[Finding], by_model: Iterable[Finding]) -> Iterable[Finding]:
    """Return one finding per line, and one per file of those with the same words.

    A model's words on an observed finding are added to that.
    """
    by_line = {(finding.path, finding.line): finding for finding in observed}
    messages: set[tuple[str, str]] = set()
    # In the order of lines, so that the first of several equal remarks stays.
    for finding in sorted(by_model, key=lambda finding: (finding.path, finding.line)):
        place = (finding.path, finding.line)
        words = re.findall(r"\w+", finding.message.lower())
        message = (finding.path, " ".join(words))
        existing = by_line.get(place)
        if existing is None:
            if message not in messages:
                by_line[place] = finding
        elif existing.rule != "comment":
            by_line[place] = replace(existing, guess=finding.message, model=finding.model)
        messages.add(message)
    return by_line.values()
