"""What a model writes in the place of suspicious lines: places in, edits out, the likeliest first. None is run here.

The form is the hole in a file that every family of models knows: what stands
before the line, what stands after it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.fix.places import Places
from pytest_starcoder.model.client import Client, cap_answer
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompts import family, render
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import split, statement_at
from pytest_starcoder.source.sources import SourceFiles

HOLES = ((0, 0), (1, 0), (2, 0), (0, 1))
"""What is asked about: the rank of a suspicious statement, and how many lines behind it are in the hole as well."""

BEFORE, AFTER = 40, 20
"""Lines around the hole that the model is shown."""

TOKENS = 80
"""Tokens of one answer at the most: a line or two."""

KIND = "written by a model"


def proposals(
    places: Places, client: Client, sources: SourceFiles, redact: Callable[[str], str]
) -> list[Edit]:
    """What `client`'s model writes there, without what it only repeats. Raises a BackendError."""
    kind = family(client.model(), client.settings.family)
    statements = list(
        dict.fromkeys(
            (path, statement_at(sources(path), line))
            for path, line in places.lines[: 2 * len(HOLES)]
        )
    )
    found: list[Edit] = []
    for rank, more in HOLES:
        if rank >= len(statements):
            continue
        path, (first, last) = statements[rank]
        lines = split(sources(path))
        last = min(last + more, len(lines))
        if not all(places.may_change((path, number)) for number in range(first, last + 1)):
            continue
        old = "\n".join(lines[first - 1 : last])
        margin = old[: len(old) - len(old.lstrip())]
        prompt = render(
            kind,
            "fill",
            repository="project",
            path=path,
            language="python",
            before=redact("\n".join([*lines[max(0, first - 1 - BEFORE) : first - 1], margin])),
            after=redact("\n" + "\n".join(lines[last : last + AFTER])),
        )
        whole = prompt.chat or kind == "starcoder2-instruct"
        stop = prompt.stop if whole or last > first else (*prompt.stop, "\n")
        prompt = replace(
            cap_answer(prompt, client.settings), max_tokens=TOKENS, stop=stop, likelihood=True
        )
        completion = client.complete(prompt)
        written = extract_code(completion.text, "python") if whole else completion.text
        new = textwrap.indent(
            textwrap.dedent(f"{'' if whole else margin}{written}").strip("\n").rstrip(), margin
        ).lstrip()
        start = sum(len(line) + 1 for line in lines[: first - 1]) + len(margin)
        before = old[len(margin) :]
        if new and new != before and REDACTED not in new:  # the model has not seen the hidden value
            cost = -(completion.likelihood or 0.0)
            found.append(Edit(path, (start, start + len(before)), before, new, KIND, cost, first))
    return sorted(dict.fromkeys(found), key=lambda edit: edit.cost)
