"""What would be reviewed, and what would be sent: nobody is asked."""

from __future__ import annotations

from pytest_starcoder.model.prompt import Model
from pytest_starcoder.model.prompts import family
from pytest_starcoder.review.finding import Hunk, Review
from pytest_starcoder.review.model_review import prompts_for
from pytest_starcoder.review.selected import Found
from pytest_starcoder.review.text_report import not_reviewed
from pytest_starcoder.text.display import counted, one_line, printable


def preview(found: Found) -> str:
    """The files with their hunks and sizes, what would be left out and why, and how long it may take."""
    change, lines = found.change, []
    sizes = {
        hunk: len(prompt.text) for hunk, prompt in prompts_for(change, _family(found), found.name)
    }
    by_path: dict[str, list[Hunk]] = {}
    for hunk in change.hunks:
        by_path.setdefault(hunk.path, []).append(hunk)
    for path, own in by_path.items():
        told = counted(len({hunk.number for hunk in own}), "hunk")
        added = counted(sum(len(hunk.added) for hunk in own), "added line")
        lines.append(
            f"{one_line(path, 200)}: {told}, {added}, {sum(sizes[hunk] for hunk in own):,} characters to send"
        )
    numbers = len({hunk.number for hunk in change.hunks})
    lines.append(
        f"{counted(numbers, 'hunk')} of {change.total} would be reviewed, {change.what}. {_time(found, numbers)}"
    )
    missing = not_reviewed(Review(change.what, unreviewed=(*change.skipped, *change.unreached)))
    return "\n".join([*lines, *([f"Not reviewed: {missing}."] if missing else [])]) + "\n"


def prompts(found: Found) -> str:
    """The last prompt of every hunk, as it would be sent."""
    told = []
    for hunk, prompt in prompts_for(found.change, _family(found), found.name):
        told.append(
            f"--- {one_line(hunk.path, 200)}:{hunk.added[0]}, {len(prompt.text):,} characters\n"
        )
        told.append(printable(prompt.text, tabs=True) + "\n")
    return (
        "".join(told) or f"Nothing would be sent: {found.change.what} has no hunk to ask about.\n"
    )


def _family(found: Found) -> str:
    """By the model's name alone: its server is not asked."""
    return family(Model(found.settings.model, "", "", 0), found.settings.family)


def _time(found: Found, hunks: int) -> str:
    last = found.kept.record() if found.kept else None
    budget = f"The budget is {found.settings.review_time_budget:g} s."
    if not last or not last["hunks_reviewed"] or not last["model_calls"]:
        return f"How long that takes is known after the first review. {budget}"
    return f"About {hunks * last['seconds'] / last['hunks_reviewed']:.0f} s, as the last review went. {budget}"
