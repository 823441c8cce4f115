"""Asks a model to change lines of a file by an instruction. Nothing is written to disk."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.assist.hidden_secrets import restore_secrets
from pytest_starcoder.assist.written_code import (
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
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.source.diff import split_lines

_REWORD = "Reword the instruction, or ask another model."
_MORE_TOKENS = "allow it more tokens with STARCODER_MAX_TOKENS, or name fewer lines"


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
    while first < last and not lines[first - 1].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    chosen = "".join(lines[first - 1 : last])
    if not chosen.strip():
        raise ConfigError(
            f"{path} has nothing to change there: blank lines alone.", "Use `starcoder complete`."
        )
    redacted = "".join(split_lines(redact(text))[first - 1 : last])
    shown = textwrap.dedent(unify_newlines(redacted)).rstrip()
    kind = model_family(client.model(), client.settings.family)
    prompt = render(
        kind,
        "edit",
        path=path,
        language=file_language(path),
        code=shown,
        instruction=redact(instruction.strip()),
    )
    completion = client.complete(replace(prompt, max_tokens=client.settings.max_tokens))
    code = code_of_answer(completion, path, text, (kind, "edit"))
    code = textwrap.dedent(code.strip("\n")).rstrip()
    if not code:
        raise UnreadableAnswer(
            f"{completion.model} wrote nothing in place of these lines.", _REWORD
        )
    if code == shown:
        raise UnreadableAnswer(f"{completion.model} wrote these lines as they are.", _REWORD)
    code = restore_secrets(code, redacted, chosen, completion.model)
    code = textwrap.indent(code, common_margin(unify_newlines(chosen)))
    end = split_line_end(lines[last - 1])[1]
    inserted = with_line_ends_of(end or lines[0], code) + end
    after = "".join([*lines[: first - 1], inserted, *lines[last:]])
    rewrite = make_rewrite(path, text, after, inserted, completion.model)
    if completion.truncated:
        return replace(rewrite, problem=f"the answer was cut ({_MORE_TOKENS})")
    ends_at_fence = kind == "chat" or f"\n{FENCE}" in FORMS[kind, "edit"].stop
    if ends_at_fence and FENCE in chosen:
        problem = f"these lines contain {FENCE}, at which an answer ends"
        return replace(rewrite, problem=problem)
    return rewrite
