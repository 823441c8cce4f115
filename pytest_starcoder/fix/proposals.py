"""Asks a model to rewrite suspicious lines; returns edits, the likeliest first.

The model fills a hole in a file from the code before and after it, with the special tokens that
it was trained with if it has some. Nothing is run here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.fix.edit_sites import Places, number_lines
from pytest_starcoder.model.client import Client, cap_answer
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompts import INSTRUCT_FAMILIES, fill_format, render
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import split, statement_at
from pytest_starcoder.source.sources import SourceFiles

HOLES = ((0, 0), (1, 0), (2, 0), (0, 1))
"""Holes to fill: the rank of a suspicious statement, and how many lines after it to include."""

LINES_BEFORE, LINES_AFTER = 40, 20
"""Lines around the hole that are shown to the model."""

MAX_TOKENS = 80
"""Tokens of one answer: a line or two."""

EDIT_KIND = "written by a model"


@dataclass(frozen=True)
class Hole:
    """The lines `first` to `last` of a file (1-based, inclusive), which the model rewrites."""

    path: str
    lines: Sequence[str]
    first: int
    last: int

    @property
    def text(self) -> str:
        lines = self.lines[self.first - 1 : self.last]
        return "\n".join(lines)

    @property
    def margin(self) -> str:
        text = self.text
        return text[: len(text) - len(text.lstrip())]

    @property
    def before(self) -> str:
        end = self.first - 1
        lines = self.lines[max(0, end - LINES_BEFORE) : end]
        return "\n".join([*lines, self.margin])

    @property
    def after(self) -> str:
        lines = self.lines[self.last : self.last + LINES_AFTER]
        return "\n" + "\n".join(lines)

    def fill(self, text: str, cost: float) -> Edit | None:
        """Return the edit that writes `text` into the hole; None if nothing changes."""
        body = textwrap.dedent(text).strip("\n").rstrip()
        new = textwrap.indent(body, self.margin).lstrip()
        old = self.text[len(self.margin) :]
        if not new or new == old:
            return None
        lines_before = self.lines[: self.first - 1]
        start = len("\n".join([*lines_before, self.margin]))
        span = start, start + len(old)
        return Edit(self.path, span, old, new, EDIT_KIND, cost, self.first)


def proposals(
    places: Places, client: Client, sources: SourceFiles, redact: Callable[[str], str]
) -> list[Edit]:
    """Ask for edits of the most suspicious statements. Raises BackendError."""
    format_name = fill_format(client.model(), client.settings.family)
    edits: dict[Edit, None] = {}  # a dict, since two holes may get the same edit
    for hole in _holes(places, sources):
        edit = _ask(hole, client, format_name, redact)
        # A redacted value in the answer stands for one that the model has not seen.
        if edit is not None and REDACTED not in edit.after:
            edits[edit] = None
    return sorted(edits, key=lambda edit: edit.cost)


def _holes(places: Places, sources: SourceFiles) -> list[Hole]:
    """Return the holes that hold only lines which may change."""
    statements: list[tuple[str, tuple[int, int]]] = []
    for path, line in places.lines[: 2 * len(HOLES)]:
        statement = path, statement_at(sources(path), line)
        if statement not in statements:
            statements.append(statement)
    holes = []
    for rank, more_lines in HOLES:
        if rank >= len(statements):
            continue
        path, (first, last) = statements[rank]
        lines = split(sources(path))
        last = min(last + more_lines, len(lines))
        hole_lines = number_lines(path, first, last)
        if all(map(places.may_change, hole_lines)):
            holes.append(Hole(path, lines, first, last))
    return holes


def _ask(hole: Hole, client: Client, format_name: str, redact: Callable[[str], str]) -> Edit | None:
    prompt = render(
        format_name,
        "fill",
        repository="project",
        path=hole.path,
        language="python",
        before=redact(hole.before),
        after=redact(hole.after),
    )
    # Chat models answer with whole lines in a code block; others continue after the margin.
    answers_in_block = format_name in INSTRUCT_FAMILIES
    stop = prompt.stop
    if not answers_in_block and hole.first == hole.last:
        stop = (*stop, "\n")
    prompt = cap_answer(prompt, client.settings)
    prompt = replace(prompt, max_tokens=MAX_TOKENS, stop=stop, likelihood=True)
    completion = client.complete(prompt)
    if answers_in_block:
        text = extract_code(completion.text, "python")
    else:
        text = hole.margin + completion.text
    likelihood = completion.likelihood or 0.0
    return hole.fill(text, cost=-likelihood)
