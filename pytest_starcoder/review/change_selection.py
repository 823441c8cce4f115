"""Selects the change to review (staged, a range of commits or a diff) and its settings."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_starcoder.errors import Misuse
from pytest_starcoder.review import baseline
from pytest_starcoder.review.change import Change, Unreviewed
from pytest_starcoder.review.change_reader import AddedLines, added_lines, read_change
from pytest_starcoder.review.file_patch import FilePatch, parse_diff
from pytest_starcoder.review.request import ReviewInput, ReviewRequest
from pytest_starcoder.review.rules import find_faults
from pytest_starcoder.settings import Settings, load_settings
from pytest_starcoder.source.git.patches import Entry
from pytest_starcoder.source.git.repository import Repository
from pytest_starcoder.source.git.tracking import is_tracked

READING_SHARE = 0.4
"""Share of the time budget for reading the change; the rest is for the rules and the model."""

MIN_READING = 1.0
"""Minimum seconds for reading the change; enough for ten thousand lines."""


class CommitRange(NamedTuple):
    """The commits from `base` to `tip`; their branch left `target` at `base`."""

    base: str
    tip: str
    target: str
    description: str


def select_change(request: ReviewRequest, environ: Mapping[str, str] = os.environ) -> ReviewInput:
    """Return the requested change. Raises ConfigError for it or for a setting."""
    here, started = Path.cwd(), time.monotonic()
    if request.diff is not None:
        settings = load_settings(here, request.options)
        change = diff_change(request.diff, settings, _deadline(settings, started))
        return ReviewInput(change, settings, tuple(find_faults(change)), repository_name=here.name)
    repository = Repository(here)
    refs = range_refs(environ, request.from_ref, request.to_ref)
    commits = None if refs is None else resolve_range(repository, *refs)
    if commits is None:
        settings = load_settings(here, request.options)
        accepted = baseline.read(repository.top / baseline.NAME)
    else:
        # A change chooses neither its own settings nor its own baseline.
        tracked_text = _text_at(repository, commits.target)
        settings = load_settings(here, request.options, tracked_text=tracked_text)
        accepted = repository.text(commits.target, baseline.NAME) or ""
    repository.timeout = settings.review_time_budget
    deadline = _deadline(settings, started)
    if commits is not None:
        change = range_change(repository, commits, settings, deadline)
    elif is_first_push(environ):
        change = _first_push()
    else:
        change = staged_change(repository, settings, deadline)
    return _input(repository, change, settings, accepted)


def select_commit(
    repository: Repository, commit: str, options: Mapping[str, str], folder: Path
) -> ReviewInput:
    """Return the change made by `commit`, under the settings of `folder`.

    For a merge that is only what the merge itself changes.
    """
    settings = load_settings(folder, options)
    first_parent = repository.parent(commit)
    other_sides = []
    for parent in repository.merged_parents(commit):
        other_sides.append(added_lines(repository.between(parent, commit, first_parent)))
    entries = repository.between(first_parent, commit)
    change = _read(repository, repository.subject(commit), entries, settings, other_sides)
    return _input(repository, change, settings, baseline.read(repository.top / baseline.NAME))


def _input(
    repository: Repository, change: Change, settings: Settings, accepted: str
) -> ReviewInput:
    observed = tuple(find_faults(change))
    fingerprints = baseline.fingerprints(accepted)
    name = repository.top.name
    return ReviewInput(change, settings, observed, fingerprints, name, repository.folder)


# --- changes ---


def staged_change(repository: Repository, settings: Settings, deadline: float = math.inf) -> Change:
    """Return the staged change; for a merge, what the merge itself changes."""
    entries = repository.staged()
    other_sides = [
        added_lines(repository.staged_against(parent)) for parent in repository.merge_heads()
    ]
    description = "what the merge itself changes" if other_sides else "what is staged"
    return _read(repository, description, entries, settings, other_sides, deadline)


def range_change(
    repository: Repository, commits: CommitRange, settings: Settings, deadline: float = math.inf
) -> Change:
    entries = repository.between(commits.base, commits.tip, commits.target)
    return _read(repository, commits.description, entries, settings, deadline=deadline)


def diff_change(diff: bytes, settings: Settings, deadline: float = math.inf) -> Change:
    """Return the change in a diff from standard input. Raises ConfigError."""
    patches = parse_diff(diff)
    description = "the diff on standard input" if patches else "an empty diff on standard input"
    return read_change(description, patches, {}, _exclude(settings), deadline=deadline)


def _first_push() -> Change:
    """Return the change for the push of a whole history, for which pre-commit names no range."""
    reason = "a first push has no commit to compare it with"
    return Change("the first push", unreviewed=(Unreviewed("the whole history", reason),), files=1)


def _read(
    repository: Repository,
    description: str,
    entries: Sequence[Entry],
    settings: Settings,
    other_sides: Sequence[AddedLines] = (),
    deadline: float = math.inf,
) -> Change:
    blobs = repository.blobs(entry.blobs[1] for entry in entries if entry.patch is not None)
    patches = [FilePatch(entry) for entry in entries]
    exclude = _exclude(settings)
    return read_change(description, patches, blobs, exclude, other_sides, deadline)


# --- ranges ---


def range_refs(environ: Mapping[str, str], from_ref: str, to_ref: str) -> tuple[str, str] | None:
    """Return the range of the options or of pre-commit's variables; None for what is staged."""
    if from_ref:
        return from_ref, to_ref or "HEAD"
    if to_ref:
        raise Misuse("--to-ref needs --from-ref.", "Name the commit that the change goes into.")
    refs = environ.get("PRE_COMMIT_FROM_REF", ""), environ.get("PRE_COMMIT_TO_REF", "")
    return refs if all(refs) else None


def resolve_range(repository: Repository, from_ref: str, to_ref: str) -> CommitRange:
    """Return the range from the merge base, so that newer commits of the target do not count."""
    target, tip = repository.commit(from_ref), repository.commit(to_ref)
    base = repository.merge_base(target, tip)
    return CommitRange(base, tip, target, f"{from_ref}...{to_ref}")


def is_first_push(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("PRE_COMMIT_REMOTE_NAME")) and not environ.get("PRE_COMMIT_FROM_REF")


def _text_at(repository: Repository, commit: str) -> Callable[[Path], str | None]:
    """Return a function for the text of a tracked file in `commit`; None if it is not tracked."""

    def text(path: Path) -> str | None:
        try:
            # The link itself, not its target, which the change may have chosen.
            place = (path.parent.resolve() / path.name).relative_to(repository.top.resolve())
            content = repository.text(commit, place.as_posix())
        except ValueError:
            return None
        if content is None and is_tracked(path):
            return ""  # the change adds it
        return content

    return text


# --- settings ---


def _deadline(settings: Settings, started: float) -> float:
    return started + max(MIN_READING, READING_SHARE * settings.review_time_budget)


def _exclude(settings: Settings) -> list[str]:
    return [glob.strip() for glob in settings.review_exclude.split(",") if glob.strip()]
