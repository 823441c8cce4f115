"""Which change is reviewed: what is staged, a range of commits or a diff, and which settings count for it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_starcoder.errors import ConfigError, Misuse
from pytest_starcoder.review import baseline
from pytest_starcoder.review.finding import Change, Unreviewed
from pytest_starcoder.review.hunks import added_lines, change_of, entries_of, is_cut_off
from pytest_starcoder.review.request import Asked
from pytest_starcoder.review.rules import constructs
from pytest_starcoder.review.selected import Found
from pytest_starcoder.settings import Settings, load_settings
from pytest_starcoder.source import git
from pytest_starcoder.source.git import Entry, Repository
from pytest_starcoder.source.quick_git import other_parents
from pytest_starcoder.text.display import one_line

SHARE = 0.4
"""Share of the time budget for reading the change; the rest is for the rules and the model."""


LEAST = 1.0
"""Minimum seconds for reading the change; enough for ten thousand lines."""


class Range(NamedTuple):
    """Commits after `base` up to `after`, full hashes; they parted at `base` from `into`, to which they will go."""

    base: str
    after: str
    what: str
    into: str = ""


def find(asked: Asked, environ: Mapping[str, str] = os.environ) -> Found:
    """The change that is asked for. Raises ConfigError where it cannot be had, or a setting cannot be used."""
    here, started = Path.cwd(), time.monotonic()
    if asked.diff is not None:
        settings = load_settings(here, asked.options)
        until = _until(settings, started)
        return observed(at_hand(asked.diff, settings, until), settings, name=here.name)
    repository = Repository(here)
    top, folder = repository.top, repository.folder
    named = named_range(environ, asked.from_ref, asked.to_ref)
    if named is not None:
        commits = range_of(repository, *named)
        settings = load_settings(
            here, asked.options, tracked_text=text_at(repository, commits.into)
        )
        accepted = baseline.fingerprints(repository.text(commits.into, baseline.NAME) or "")
        repository.patience = settings.review_time_budget
        until = _until(settings, started)
        change = committed(repository, commits, settings, until)
        return observed(change, settings, accepted, top.name, folder)
    settings = load_settings(here, asked.options)
    accepted = baseline.fingerprints(read(top / baseline.NAME))
    if is_first_push(environ):
        nothing = Unreviewed("the whole history", "a first push has no commit to compare it with")
        return Found(
            Change("the first push", skipped=(nothing,), files=1),
            settings,
            (),
            accepted,
            top.name,
            folder,
        )
    repository.patience = settings.review_time_budget
    until = _until(settings, started)
    return observed(staged(repository, settings, until), settings, accepted, top.name, folder)


def observed(
    change: Change,
    settings: Settings,
    accepted: frozenset[str] = frozenset(),
    name: str = "",
    folder: Path | None = None,
) -> Found:
    """The change, with what is wrong with it for certain."""
    return Found(change, settings, tuple(constructs(change)), accepted, name, folder)


def last_commit(
    repository: Repository, commit: str, options: Mapping[str, str], folder: Path
) -> Found:
    """Return the change made by `commit`, under the settings of `folder`.

    For a merge that is only what the merge itself changes.
    """
    settings = load_settings(folder, options)
    accepted = baseline.fingerprints(read(repository.top / baseline.NAME))
    first = repository.parent(commit)
    entries = repository.between(first, commit)
    parents = other_parents(commit, repository.top)
    others = [added_lines(repository.between(parent, commit, first)) for parent in parents]
    contents = _contents(repository, entries)
    change = change_of(repository.subject(commit), entries, contents, _globs(settings), others)
    return observed(change, settings, accepted, repository.top.name, repository.folder)


def range_of(repository: Repository, before: str, after: str) -> Range:
    """The range that CI or a push names: from where `after` parted from `before`, so that nothing is seen reversed."""
    one, other = repository.commit(before), repository.commit(after)
    return Range(repository.merge_base(one, other), other, f"{before}...{after}", one)


def named_range(environ: Mapping[str, str], before: str, after: str) -> tuple[str, str] | None:
    """The range of the options, or of pre-commit's variables; None where what is staged is meant."""
    if before or after:
        if not before:
            raise Misuse("--to-ref needs --from-ref.", "Name the commit that the change goes into.")
        return before, after or "HEAD"
    found = environ.get("PRE_COMMIT_FROM_REF", ""), environ.get("PRE_COMMIT_TO_REF", "")
    return found if all(found) else None


def is_first_push(environ: Mapping[str, str]) -> bool:
    """Whether pre-commit runs for the push of a whole history, for which it names no range."""
    return bool(environ.get("PRE_COMMIT_REMOTE_NAME")) and not environ.get("PRE_COMMIT_FROM_REF")


def staged(repository: Repository, settings: Settings, until: float = math.inf) -> Change:
    """What is staged; of a merge, what the merge itself changes."""
    entries = repository.staged()
    parents = repository.merged()
    others = [added_lines(repository.against(parent)) for parent in parents]
    what = "what the merge itself changes" if parents else "what is staged"
    return change_of(what, entries, _contents(repository, entries), _globs(settings), others, until)


def committed(
    repository: Repository, commits: Range, settings: Settings, until: float = math.inf
) -> Change:
    """What a range of commits changes."""
    entries = repository.between(commits.base, commits.after, commits.into)
    return change_of(
        commits.what, entries, _contents(repository, entries), _globs(settings), until=until
    )


def at_hand(diff: bytes, settings: Settings, until: float = math.inf) -> Change:
    """The change of a diff that somebody else has made; raises ConfigError for what is none."""
    try:
        entries = entries_of(diff)
    except ValueError as exc:
        raise ConfigError(
            "What came on standard input is no diff.", "Pipe `git diff` into it."
        ) from exc
    for entry in entries:
        if is_cut_off(entry):
            raise ConfigError(
                f"The diff on standard input is cut off or damaged at {one_line(entry.path, 200)}.",
                "Check the command before the pipe; `set -o pipefail` reports its failure.",
            )
    what = "the diff on standard input" if entries else "an empty diff on standard input"
    return change_of(what, entries, {}, _globs(settings), until=until)


def _contents(repository: Repository, entries: Sequence[Entry]) -> Mapping[str, bytes]:
    """Return the contents after the change, by blob, of the files whose diff can be shown."""
    return repository.blobs(entry.blobs[1] for entry in entries if entry.patch is not None)


def _until(settings: Settings, started: float) -> float:
    return started + max(LEAST, SHARE * settings.review_time_budget)


def text_at(repository: Repository, commit: str) -> Callable[[Path], str | None]:
    """What counts of a file that git tracks is what `commit` has of it: a change does not choose its own reviewer."""

    def text(path: Path) -> str | None:
        try:
            # Not what it links to now: that is the change's to say.
            place = (path.parent.resolve() / path.name).relative_to(repository.top.resolve())
            told = repository.text(commit, place.as_posix())
        except ValueError:
            return None
        if told is not None:
            return told
        return "" if git.is_tracked(path) else None

    return text


def _globs(settings: Settings) -> list[str]:
    return [glob.strip() for glob in settings.review_exclude.split(",") if glob.strip()]


def read(path: Path) -> str:
    """The text of a file, empty where there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
