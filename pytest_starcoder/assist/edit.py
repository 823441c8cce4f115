"""Asks a model to change lines of a file by an instruction. Nothing is written to disk."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.assist.hidden_secrets import restore_secrets
from pytest_starcoder.assist.model_code import (
    FENCE,
    Rewrite,
    code_of_answer,
    common_margin,
    make_rewrite,
    split_line_end,
    unify_newlines,
    with_line_ends_of,
)
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.code_blocks import file_language
from pytest_starcoder.model.prompt import Completion
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.source.diff import split_lines

_REWORD = "Reword the instruction, or ask another model."
_MORE_TOKENS = "allow more tokens with STARCODER_MAX_TOKENS, or name fewer lines"


def edit(
    path: str,
    text: str,
    first: int,
    last: int,
    instruction: str,
    client: Client,
    redact: Callable[[str], str] = redact,
) -> Rewrite:
    """Return the change that `instruction` makes to the 1-based lines `first` to `last`.

    The model does not see their secrets; those that it keeps are put back. Raises ConfigError
    if the lines are blank, and UnreadableAnswer if the model wrote nothing, the same lines, or a
    secret elsewhere.
    """
    lines = split_lines(text)
    first, last = _without_blank_ends(lines, first, last)
    chosen = "".join(lines[first - 1 : last])
    if not chosen.strip():
        raise ConfigError(f"{path} has only blank lines there.", "Use `starcoder complete`.")
    # The whole file is redacted, because a secret may be known only by lines further up.
    redacted_lines = split_lines(redact(text))
    redacted = "".join(redacted_lines[first - 1 : last])
    # The model gets the lines without their margin; it would often get the margin wrong.
    shown = textwrap.dedent(unify_newlines(redacted)).rstrip()
    kind = model_family(client.model(), client.settings.family)
    completion = _ask_for_edit(path, shown, redact(instruction.strip()), kind, client)
    code = code_of_answer(completion, path, text, (kind, "edit"))
    code = textwrap.dedent(code.strip("\n")).rstrip()
    _check_changed(code, shown, completion.model)
    code = restore_secrets(code, redacted, chosen, completion.model)
    code = textwrap.indent(code, common_margin(unify_newlines(chosen)))
    # The last line of a file may have no end; then the first line shows the file's line end.
    _, end = split_line_end(lines[last - 1])
    inserted = with_line_ends_of(end or lines[0], code) + end
    after = "".join([*lines[: first - 1], inserted, *lines[last:]])
    rewrite = make_rewrite(path, text, after, inserted, completion.model)
    if completion.truncated:
        return replace(rewrite, problem=f"the answer was cut ({_MORE_TOKENS})")
    if FENCE in chosen and _ends_at_fence(kind):
        problem = f"these lines contain {FENCE}, at which an answer ends"
        return replace(rewrite, problem=problem)
    return rewrite


def _ask_for_edit(path: str, code: str, instruction: str, kind: str, client: Client) -> Completion:
    prompt = render(
        kind,
        "edit",
        path=path,
        language=file_language(path),
        code=code,
        instruction=instruction,
    )
    return client.complete(replace(prompt, max_tokens=client.settings.max_tokens))


def _check_changed(code: str, shown: str, model: str) -> None:
    """Raise UnreadableAnswer unless the model wrote something, and something new."""
    if not code:
        raise UnreadableAnswer(f"{model} returned no replacement for these lines.", _REWORD)
    if code == shown:
        raise UnreadableAnswer(f"{model} returned these lines unchanged.", _REWORD)


def _without_blank_ends(lines: list[str], first: int, last: int) -> tuple[int, int]:
    """Return the 1-based range without the blank lines at both ends; it keeps one line."""
    while first < last and not lines[first - 1].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    return first, last


def _ends_at_fence(kind: str) -> bool:
    return kind == "chat" or f"\n{FENCE}" in FORMS[kind, "edit"].stop
