"""Shows what a review would read and send, without asking a model."""

from __future__ import annotations

from pytest_starcoder.model.prompt import Model
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.review.change import Hunk
from pytest_starcoder.review.model_review import render_prompts
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.text_report import describe_unreviewed
from pytest_starcoder.text.display import counted, one_line, printable


def preview(source: ReviewInput) -> str:
    """Return the files with their hunks and sizes, what is left out, and the time budget."""
    change = source.change
    by_path: dict[str, list[Hunk]] = {}
    sizes: dict[str, int] = {}
    for hunk, prompt in render_prompts(change, _family(source), source.repository_name):
        by_path.setdefault(hunk.path, []).append(hunk)
        sizes[hunk.path] = sizes.get(hunk.path, 0) + len(prompt.text)
    lines = []
    for path, hunks in by_path.items():
        numbers = counted(len({hunk.number for hunk in hunks}), "hunk")
        added = counted(sum(len(hunk.added) for hunk in hunks), "added line")
        size = f"{sizes[path]:,} characters to send"
        lines.append(f"{one_line(path, 200)}: {numbers}, {added}, {size}")
    # Parts of a long hunk are sent one by one, and counted as one.
    count = len({hunk.number for hunk in change.hunks})
    budget = source.settings.review_time_budget
    summary = f"{counted(count, 'hunk')} of {change.total} would be reviewed"
    lines.append(f"{summary}, {change.description}. The time budget is {budget:g} s.")
    missing = describe_unreviewed(change.unreviewed)
    if missing:
        lines.append(f"Not reviewed: {missing}.")
    return "\n".join(lines) + "\n"


def show_prompts(source: ReviewInput) -> str:
    """Return the last prompt for every hunk, as it would be sent."""
    parts = []
    for hunk, prompt in render_prompts(source.change, _family(source), source.repository_name):
        place = f"{one_line(hunk.path, 200)}:{hunk.added[0]}"
        parts.append(f"--- {place}, {len(prompt.text):,} characters\n")
        parts.append(printable(prompt.text, tabs=True) + "\n")
    if not parts:
        return f"Nothing would be sent: {source.change.description} has no hunk to ask about.\n"
    return "".join(parts)


def _family(source: ReviewInput) -> str:
    """Return the model family by the model's name alone: its server is not asked."""
    return model_family(Model(source.settings.model, "", "", 0), source.settings.family)
