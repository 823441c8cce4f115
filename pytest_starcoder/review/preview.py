"""Shows what a review would read and send, without asking a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_starcoder.model.backends.choice import model_name
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.review.change import Hunk
from pytest_starcoder.review.model_review import render_prompts
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.text_report import describe_unreviewed
from pytest_starcoder.text.display import counted, one_line, printable


def preview(review_input: ReviewInput) -> str:
    """Return the files with their hunks and sizes, what is left out, and the time budget."""
    change = review_input.change
    by_path: dict[str, list[Hunk]] = {}
    sizes: dict[str, int] = {}
    for hunk, prompt in render_prompts(change, _family(review_input), review_input.repository_name):
        by_path.setdefault(hunk.path, []).append(hunk)
        sizes[hunk.path] = sizes.get(hunk.path, 0) + len(prompt.text)
    lines = []
    for path, hunks in by_path.items():
        size = f"{sizes[path]:,} characters to send"
        lines.append(f"{one_line(path, 200)}: {_counts(hunks)}, {size}")
    chosen = _count_git_hunks(change.hunks)
    total = counted(change.total, "hunk")
    summary = f"{chosen} of {total} would be reviewed: {change.description}"
    budget = review_input.settings.review_time_budget
    lines.append(f"{summary}. The time budget is {budget:g} s.")
    missing = describe_unreviewed(change.unreviewed)
    if missing:
        lines.append(f"Not reviewed: {missing}.")
    return "\n".join(lines) + "\n"


def _counts(hunks: Sequence[Hunk]) -> str:
    git_hunks = counted(_count_git_hunks(hunks), "hunk")
    added = sum(len(hunk.added) for hunk in hunks)
    return f"{git_hunks}, {counted(added, 'added line')}"


def _count_git_hunks(hunks: Iterable[Hunk]) -> int:
    """Count hunks as git does; the parts of a long one are sent one by one."""
    return len({hunk.number for hunk in hunks})


def show_prompts(review_input: ReviewInput) -> str:
    """Return the last prompt for every hunk, as it would be sent."""
    parts = []
    for hunk, prompt in render_prompts(
        review_input.change, _family(review_input), review_input.repository_name
    ):
        place = f"{one_line(hunk.path, 200)}:{hunk.added[0]}"
        parts.append(f"--- {place}, {len(prompt.text):,} characters\n")
        parts.append(printable(prompt.text, tabs=True) + "\n")
    if not parts:
        return (
            f"Nothing would be sent: {review_input.change.description} has no hunk to ask about.\n"
        )
    return "".join(parts)


def _family(review_input: ReviewInput) -> str:
    """Return the model family by the model's name alone: its server is not asked."""
    settings = review_input.settings
    return model_family(Model(model_name(settings), "", "", 0), settings.family)
