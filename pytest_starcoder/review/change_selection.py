"""Selects the change to review (staged, a range of commits or a diff) and its settings."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


def select_change(request: ReviewRequest, environ: Mapping[str, str] = os.environ) -> ReviewInput:
    """Return the requested change. Raises ConfigError for it or for a setting."""
    started = time.monotonic()
    if request.diff is not None:
        return _select_diff(request.diff, request.options, started)
    repository = Repository(Path.cwd())
    refs = range_refs(environ, request.from_ref, request.to_ref)
    if refs is not None:
        return _select_range(repository, refs, request.options, started)
    settings = load_settings(Path.cwd(), request.options)
    # A git that takes longer than the whole budget has failed.
    repository.timeout = settings.review_time_budget
    if environ.get("PRE_COMMIT_REMOTE_NAME") and not environ.get("PRE_COMMIT_FROM_REF"):
        # pre-commit names no range for the push of a whole history.
        missing = Unreviewed("the whole history", "a first push has no commit to compare it with")
        change = Change("the first push", unreviewed=(missing,), files=1)
    else:
        change = staged_change(repository, settings, _deadline(settings, started))
    return _input(repository, change, settings, baseline.read(repository.top / baseline.NAME))


def _select_diff(diff: bytes, options: Mapping[str, str], started: float) -> ReviewInput:
    """Return the change of a diff from standard input, which needs no repository."""
    here = Path.cwd()
    settings = load_settings(here, options)
    patches = parse_diff(diff)
    title = "the diff on standard input" if patches else "an empty diff on standard input"
    deadline = _deadline(settings, started)
    change = read_change(title, patches, {}, _exclude(settings), deadline=deadline)
    faults = tuple(find_faults(change))
    return ReviewInput(change, settings, faults, repository_name=here.name)


def _select_range(
    repository: Repository, refs: tuple[str, str], options: Mapping[str, str], started: float
) -> ReviewInput:
    """Return the commits since `refs[1]` left `refs[0]`: later commits of that do not count.

    Settings and baseline are those of `refs[0]`, so a change chooses neither.
    """
    target, tip = map(repository.commit, refs)
    base = repository.merge_base(target, tip)
    settings = load_settings(Path.cwd(), options, tracked_text=_text_at(repository, target))
    accepted = repository.text(target, baseline.NAME) or ""
    repository.timeout = settings.review_time_budget
    entries = repository.between(base, tip, target)
    deadline = _deadline(settings, started)
    change = _read(repository, "...".join(refs), entries, settings, deadline=deadline)
    return _input(repository, change, settings, accepted)


def select_commit(
    repository: Repository, commit: str, options: Mapping[str, str], folder: Path
) -> ReviewInput:
    """Return the change made by `commit`, under the settings of `folder`.

    For a merge that is only what the merge itself changes.
    """
    settings = load_settings(folder, options)
    # Attributes are read from the first parent, as for a range: a commit hides nothing.
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


def staged_change(repository: Repository, settings: Settings, deadline: float = math.inf) -> Change:
    """Return the staged change; for a merge, what the merge itself changes."""
    entries = repository.staged()
    other_sides = []
    for head in repository.merge_heads():
        other_sides.append(added_lines(repository.staged_against(head)))
    description = "what the merge itself changes" if other_sides else "what is staged"
    return _read(repository, description, entries, settings, other_sides, deadline)


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


def range_refs(environ: Mapping[str, str], from_ref: str, to_ref: str) -> tuple[str, str] | None:
    """Return the range of the options or of pre-commit's variables; None for what is staged."""
    if from_ref:
        return from_ref, to_ref or "HEAD"
    if to_ref:
        raise Misuse("--to-ref needs --from-ref.", "Name the commit that the change goes into.")
    refs = environ.get("PRE_COMMIT_FROM_REF", ""), environ.get("PRE_COMMIT_TO_REF", "")
    return refs if all(refs) else None


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


def _deadline(settings: Settings, started: float) -> float:
    return started + max(MIN_READING, READING_SHARE * settings.review_time_budget)


def _exclude(settings: Settings) -> list[str]:
    return [glob.strip() for glob in settings.review_exclude.split(",") if glob.strip()]
