"""Asks a model for code in place of suspicious lines; returns edits, the likeliest first.

The model fills a hole in a file, from what is before and after it: the form that all families
of code models know. Nothing is run here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.fix.places import Places
from pytest_starcoder.model.client import Client, cap_answer
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompts import model_family, render
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import split, statement_at
from pytest_starcoder.source.sources import SourceFiles

HOLES = ((0, 0), (1, 0), (2, 0), (0, 1))
"""Rank of the suspicious statement in the hole, and how many lines after it are included."""

LINES_BEFORE, LINES_AFTER = 40, 20
"""Lines around the hole that are shown to the model."""

MAX_TOKENS = 80
"""Tokens of one answer: a line or two."""

EDIT_KIND = "written by a model"


@dataclass(frozen=True)
class Hole:
    """The lines `first` to `last` of a file (1-based, inclusive), to be written anew."""

    path: str
    lines: Sequence[str]
    first: int
    last: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines[self.first - 1 : self.last])

    @property
    def margin(self) -> str:
        text = self.text
        return text[: len(text) - len(text.lstrip())]

    @property
    def before(self) -> str:
        start = max(0, self.first - 1 - LINES_BEFORE)
        return "\n".join([*self.lines[start : self.first - 1], self.margin])

    @property
    def after(self) -> str:
        return "\n" + "\n".join(self.lines[self.last : self.last + LINES_AFTER])

    def fill(self, text: str, cost: float) -> Edit | None:
        """Return the edit that writes `text` into the hole; None if nothing changes."""
        body = textwrap.dedent(text).strip("\n").rstrip()
        new = textwrap.indent(body, self.margin).lstrip()
        old = self.text[len(self.margin) :]
        if not new or new == old:
            return None
        start = sum(len(line) + 1 for line in self.lines[: self.first - 1]) + len(self.margin)
        span = start, start + len(old)
        return Edit(self.path, span, old, new, EDIT_KIND, cost, self.first)


def proposals(
    places: Places, client: Client, sources: SourceFiles, redact: Callable[[str], str]
) -> list[Edit]:
    """Ask for edits of the most suspicious statements. Raises BackendError."""
    prompt_family = model_family(client.model(), client.settings.family)
    edits: dict[Edit, None] = {}
    for hole in _holes(places, sources):
        edit = _ask(hole, client, prompt_family, redact)
        # A redacted value in the answer stands for one that the model has not seen.
        if edit is not None and REDACTED not in edit.after:
            edits[edit] = None
    return sorted(edits, key=lambda edit: edit.cost)


def _holes(places: Places, sources: SourceFiles) -> list[Hole]:
    statements: dict[tuple[str, tuple[int, int]], None] = {}
    for path, line in places.lines[: 2 * len(HOLES)]:
        statements[path, statement_at(sources(path), line)] = None
    holes = []
    for rank, more_lines in HOLES:
        if rank >= len(statements):
            continue
        path, (first, last) = list(statements)[rank]
        lines = split(sources(path))
        last = min(last + more_lines, len(lines))
        if all(places.may_change((path, number)) for number in range(first, last + 1)):
            holes.append(Hole(path, lines, first, last))
    return holes


def _ask(
    hole: Hole, client: Client, prompt_family: str, redact: Callable[[str], str]
) -> Edit | None:
    prompt = render(
        prompt_family,
        "fill",
        repository="project",
        path=hole.path,
        language="python",
        before=redact(hole.before),
        after=redact(hole.after),
    )
    # Chat models answer with whole lines in a code block, others go on after the margin.
    answers_in_block = prompt.chat or prompt_family == "starcoder2-instruct"
    stop = prompt.stop
    if not answers_in_block and hole.first == hole.last:
        stop = (*stop, "\n")
    prompt = replace(
        cap_answer(prompt, client.settings), max_tokens=MAX_TOKENS, stop=stop, likelihood=True
    )
    completion = client.complete(prompt)
    if answers_in_block:
        text = extract_code(completion.text, "python")
    else:
        text = hole.margin + completion.text
    return hole.fill(text, cost=-(completion.likelihood or 0.0))
