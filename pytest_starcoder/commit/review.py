"""A review from its beginning to its exit status, for a hook, for CI and for a person at a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_starcoder.backends import make_backend
from pytest_starcoder.cache import Cache
from pytest_starcoder.client import Client
from pytest_starcoder.commit import baseline, change
from pytest_starcoder.commit.kept import Kept
from pytest_starcoder.commit.screen import Screen
from pytest_starcoder.errors import BackendUnavailable, StarcoderError
from pytest_starcoder.evidence.constructs import constructs
from pytest_starcoder.git import Repository
from pytest_starcoder.jobs.review import Remarks, ask_about, reviewed
from pytest_starcoder.settings import Settings, load_settings
from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.values import Change, Review, Unreviewed

RESERVE = 0.3
"""Seconds of the time allowed that are kept for what comes after the last answer."""

PASSED, FAILED, NO_MODEL = 0, 1, 3


@dataclass
class Asked:
    """What is asked for: options of the command line, and what standard input holds where it is a diff."""

    options: Mapping[str, str] = field(default_factory=dict)
    from_ref: str = ""
    to_ref: str = ""
    diff: bytes | None = None
    started: float = field(default_factory=time.monotonic)


class Place:
    """Where a review takes place: the repository, the change and the settings that count, and what is accepted."""

    def __init__(self, asked: Asked, environ: Mapping[str, str] = os.environ) -> None:
        self.repository: Repository | None = None
        self.kept: Kept | None = None
        self.accepted: frozenset[str] = frozenset()
        self.name = Path.cwd().name
        if asked.diff is not None:
            self.settings = load_settings(Path.cwd(), asked.options)
            self.change = change.at_hand(asked.diff, self.settings)
            return
        self.repository = Repository(Path.cwd())
        self.kept = Kept(self.repository.folder)
        self.name = self.repository.top.name
        named = change.named_range(environ, asked.from_ref, asked.to_ref)
        if named is None:
            self.settings = load_settings(Path.cwd(), asked.options)
            self.accepted = baseline.fingerprints(_read(self.repository.top / baseline.NAME))
            if change.is_first_push(environ):
                nothing = Unreviewed("the whole history", "a first push has no commit to compare it with")
                self.change = Change("the first push", skipped=(nothing,), files=1)
            else:
                self.change = change.staged(self.repository, self.settings)
            return
        commits = change.range_of(self.repository, *named)
        self.settings = load_settings(
            Path.cwd(), asked.options, tracked_text=change.text_at(self.repository, commits.into)
        )
        self.accepted = baseline.fingerprints(self.repository.text(commits.into, baseline.NAME) or "")
        self.change = change.committed(self.repository, commits, self.settings)

    @property
    def cache(self) -> Cache:
        if self.kept is not None:
            return self.kept.cache(self.settings)
        return Cache(None)


def review(asked: Asked, place: Place, screen: Screen) -> Review:
    """The review of a change within the time that the settings allow from `asked.started` on; it is kept."""
    result = (
        _asked(asked, place, screen) if place.change.hunks else reviewed(place.change, (), Remarks(), place.settings)
    )
    result = replace(result, seconds=time.monotonic() - asked.started, notes=tuple(_news(place.kept)))
    if place.kept is not None:
        place.kept.keep(result)
    return result


def status_of(result: Review, settings: Settings) -> int:
    """0: nothing stops the commit, perhaps for want of a model; 1: a finding does; 3: a model is required and away."""
    if settings.review_require_model and result.away:
        return NO_MODEL
    return FAILED if result.failed else PASSED


def in_background(asked: Asked) -> None:
    """Reviews the last commit, and those that are made meanwhile, while nobody waits; one process a repository."""
    repository = Repository(Path.cwd())
    kept = Kept(repository.folder)
    if kept.running() is not None:
        return  # it will see this commit when it ends
    done = ""
    try:
        while (head := repository.commit("HEAD")) != done:
            done = head
            settings = replace(load_settings(Path.cwd(), asked.options), session_timeout=86400.0)
            commits = change.Range(repository.parent(head), head, repository.subject(head))
            found = change.committed(repository, commits, settings)
            kept.say_running(commits.what, 0, found.total)
            started = time.monotonic()
            result = _with_model(
                found,
                settings,
                kept.cache(settings),
                repository.top.name,
                baseline.fingerprints(_read(repository.top / baseline.NAME)),
                lambda number, what=commits.what, total=found.total: kept.say_running(what, number, total),
            )
            kept.keep(replace(result, seconds=time.monotonic() - started), "background")
    finally:
        kept.say_ended()


def accept(name: str = "last") -> str:
    """Writes the findings of the last review into the baseline; a sentence on what to do with it."""
    repository = Repository(Path.cwd())
    record = Kept(repository.folder).record(name)
    if record is None or not record["findings"]:
        return "The last review here has no findings: nothing was accepted."
    path = repository.top / baseline.NAME
    text, new = baseline.with_findings(_read(path), record["findings"])
    path.write_text(text, "utf-8")
    return (
        f"{counted(new, 'finding')} accepted, written to {baseline.NAME}. "
        f"Commit it with the change: git add {baseline.NAME}"
    )


def _asked(asked: Asked, place: Place, screen: Screen) -> Review:
    settings = place.settings
    left = max(0.1, settings.review_time_budget - RESERVE - (time.monotonic() - asked.started))
    total = place.change.total
    with screen.waiting(f"StarCoder reviews {counted(total, 'hunk')}") as far:
        return _with_model(
            place.change,
            replace(settings, session_timeout=left),
            place.cache,
            place.name,
            place.accepted,
            lambda done: far(f", {done} of {total} done"),
        )


def _with_model(
    found: Change, settings: Settings, cache: Cache, name: str, accepted: frozenset[str], progress: Any
) -> Review:
    """The review of a change, by a model where there is one."""
    observed = constructs(found)
    try:
        backend = make_backend(settings)
    except BackendUnavailable as exc:
        return _without(found, observed, exc, settings, accepted)
    with Client(backend, settings, cache) as client:
        client.allow(settings.session_timeout)
        try:
            model = client.model()
        except StarcoderError as exc:
            return _without(found, observed, exc, settings, accepted, backend.label)
        places = {(told.path, told.line): told for told in observed}
        remarks = ask_about(found, places, client, cache, name, progress)
        result = reviewed(found, observed, remarks, settings, accepted)
        return replace(result, model=model.name, server=backend.label, calls=client.calls)


def _without(
    found: Change,
    observed: Sequence[Any],
    why: StarcoderError,
    settings: Settings,
    accepted: frozenset[str],
    server: str = "",
) -> Review:
    """The review of a change where no model can be asked at all."""
    remarks = Remarks()
    remarks.away = why
    for hunk in found.hunks:
        remarks.missing.setdefault(hunk.number, Unreviewed(hunk.path, one_line(why.message, 200), 1))
    return replace(reviewed(found, observed, remarks, settings, accepted), server=server)


def _news(kept: Kept | None) -> list[str]:
    """What a review in the background has found, once, or that it is still running."""
    if kept is None:
        return []
    told = []
    running = kept.running()
    if running is not None:
        told.append(
            f"Still running in the background: {running['commit']}, {running['done']} of {running['total']} hunks."
        )
    news = kept.take("background")
    if news is not None:
        told.append(f"Reviewed in the background: {news['change']}. {news['summary']}")
        told += [
            f"{found['path']}:{found['line']}: {found['severity']}: {found['message']}" for found in news["findings"]
        ]
    return told


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
