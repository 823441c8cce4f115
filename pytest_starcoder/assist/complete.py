"""Asks a model to complete code at a line of a file. Nothing is written to disk."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.assist.hidden_secrets import restore_secrets
from pytest_starcoder.assist.model_code import (
    Rewrite,
    code_of_answer,
    common_margin,
    is_python,
    make_rewrite,
    split_line_end,
    syntax_error,
    unify_newlines,
    with_line_ends_of,
)
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.client import MAX_PROMPT_TOKENS, Client, cap_answer
from pytest_starcoder.model.code_blocks import file_language
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.prompts import INSTRUCT_FAMILIES, fill_format, render
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.lines import indentation

_DEFINITION = re.compile(r"(?:async )?def |class |@|import |from ")

_NEXT_DEFINITION = ("\ndef ", "\nasync def ", "\nclass ", "\n@", "\nif __name__")
"""Beginnings of what follows a function."""

_MIN_CONTEXT = 200
"""Characters around the hole that are sent even if they do not fit."""


def complete(
    path: str, text: str, line: int, client: Client, redact: Callable[[str], str] = redact
) -> Rewrite:
    """Return the code that belongs after the 1-based `line`, or at its end if it is incomplete.

    The text after the line is respected if the model can fill a hole. Raises
    UnreadableAnswer if the model wrote nothing, or a hidden secret in the wrong place.
    """
    lines = split_lines(text)
    before, after = _split_at(lines, line)
    redacted = redact(text)
    shown_before, shown_after = _split_at(split_lines(redacted), line)
    kind = fill_format(client.model(), client.settings.family)
    prompt = _prompt(path, unify_newlines(shown_before), unify_newlines(shown_after), kind, client)
    completion = client.complete(prompt)
    code = code_of_answer(completion, path, text, (kind, "fill"))
    code = restore_secrets(code, redacted, text, completion.model)
    if kind in INSTRUCT_FAMILIES:
        # These models answer with a block of their own instead of continuing the text.
        code = _Hole(path, unify_newlines(before), after).fill_with(code)
    code = _without_repetition(before, code, unify_newlines(after))
    if completion.truncated and "\n" in code.strip():
        code = code[: code.rindex("\n")]  # the last line was cut by the limit
    if is_python(path):
        code = _longest_valid_start(before, code, after)
    code = code.rstrip()
    if not code:
        hint = "Choose another line, or another model."
        raise UnreadableAnswer(f"{completion.model} wrote nothing there.", hint)
    # The last line of a file may have no end; then the first line shows the file's line end.
    _, line_end = split_line_end(lines[line - 1])
    code = with_line_ends_of(line_end or lines[0], code)
    return make_rewrite(path, text, before + code + after, code, completion.model)


def _split_at(lines: list[str], line: int) -> tuple[str, str]:
    """Return the text up to the end of a line, and the text from its line end on."""
    content, end = split_line_end(lines[line - 1])
    return "".join(lines[: line - 1]) + content, end + "".join(lines[line:])


# --- the prompt ---


def _prompt(path: str, before: str, after: str, kind: str, client: Client) -> Prompt:
    """Return the prompt with as much of the file around the hole as fits."""
    near, far = split_lines(before), split_lines(after)
    stops = _stops(path, before, far, kind)
    repository = path.split("/")[0] if "/" in path else "project"
    while True:
        prompt = render(
            kind,
            "fill",
            repository=repository,
            path=path,
            language=file_language(path),
            before="".join(near),
            after="".join(far),
        )
        if not prompt.chat:
            prompt = replace(prompt, stop=(*prompt.stop, *stops))
        prompt = cap_answer(prompt, client.settings)
        size = len("".join(near + far))
        if size < _MIN_CONTEXT or client.fits(prompt, MAX_PROMPT_TOKENS + prompt.max_tokens):
            return prompt
        near, far = _shorten(near, far)


def _stops(path: str, before: str, far: list[str], kind: str) -> list[str]:
    """Return texts at which the model has gone beyond the hole before the lines `far`."""
    stops: list[str] = []
    for line in far[1:]:
        # Short lines such as `}` also occur inside the hole.
        if len(line.strip()) > 3:
            stops.append(f"\n{line.rstrip()}\n")
            break
    # A family that cannot fill holes would write the next function, too.
    if kind == "completion" and is_python(path) and _is_in_block(before):
        stops += _NEXT_DEFINITION
    return stops


def _is_in_block(before: str) -> bool:
    """Return whether Python continues a block: on an indented line, or below a block's header."""
    last_line = before.rpartition("\n")[2]
    return last_line[:1].isspace() or before.rstrip().endswith(":")


def _shorten(near: list[str], far: list[str]) -> tuple[list[str], list[str]]:
    """Return a third less of the lines around the hole, farthest first."""
    if len(near) < 2 and len(far) < 2:
        # One line on each side: cut within it.
        near = [line[len(line) // 3 :] for line in near]
        far = [line[: len(line) - len(line) // 3] for line in far]
        return near, far
    # The text before the hole says more about it, so twice as much of it stays.
    if len(near) > 2 * len(far) or len(far) < 2:
        removed = max(len(near) // 3, 1)
        return near[removed:], far
    removed = max(len(far) // 3, 1)
    return near, far[:-removed]


# --- the answer ---


class _Hole:
    """The end of `before`, into which a block of code goes: on that line, or below it."""

    def __init__(self, path: str, before: str, after: str) -> None:
        self._path = path
        self._before = before
        self._after = after
        self._head = before.rpartition("\n")[2]

    def fill_with(self, block: str) -> str:
        """Return the block, indented as it continues the text before it."""
        margin = common_margin(block)
        code = textwrap.dedent(block.strip("\n")).rstrip()
        candidates = self._continuations(code) or self._indented(code, margin)
        if is_python(self._path):
            for candidate in candidates:
                if not syntax_error(self._before + candidate + self._after):
                    return candidate
        return candidates[0]

    def _continuations(self, code: str) -> list[str]:
        """Return the code as the rest of the existing line; nothing if that line is complete."""
        words = self._head.strip()
        if not words:
            return []
        first_line, _, rest = code.partition("\n")
        rest = textwrap.indent(rest, indentation(self._head))
        if first_line.startswith(words):  # the block repeats the existing line
            first_line = first_line.removeprefix(words)
            if self._head[-1:].isspace():
                first_line = first_line.lstrip()
        elif not self._is_half_written():
            return []
        return [f"{first_line}\n{rest}".rstrip()]

    def _indented(self, code: str, margin: str) -> list[str]:
        """Return the code with each likely indentation: models often get it wrong."""
        candidates = []
        for choice in self._margins(margin, code):
            indented = textwrap.indent(code, choice)
            if self._head.strip():
                candidates.append(f"\n{indented}")
            else:
                candidates.append(indented.removeprefix(self._head))
        return candidates

    def _margins(self, margin: str, code: str) -> list[str]:
        """Return the indentations that the code can have, likeliest first."""
        head = "" if self._head.strip() else self._head
        likely = self._likely_margin()
        margins = []
        for choice in (margin or head or likely, likely, head, ""):
            if choice.startswith(head):
                margins.append(choice)
        if not self._head and _DEFINITION.match(code):
            # After a blank line, a definition belongs to what follows, or to the file.
            lines_after = _lines_with_code(self._after)
            following = lines_after[0] if lines_after else ""
            margins.insert(0, margin or indentation(following))
        return margins

    def _likely_margin(self) -> str:
        """Return the indentation of the code above, or one step more below a block's header."""
        lines_before = _lines_with_code(self._before)
        previous = lines_before[-1] if lines_before else ""
        margin = indentation(previous)
        if previous.endswith((":", "{")):
            margin += "\t" if "\n\t" in self._before else "    "
        return margin

    def _is_half_written(self) -> bool:
        """Return whether the last line must go on."""
        if self._before[-1:].isspace():
            return True
        if not is_python(self._path):
            return not self._before.endswith(("{", "}", ";", ":", ">", ","))
        deeper = indentation(self._head) + " "
        with_body = f"{self._before}\n{deeper}pass"
        return bool(syntax_error(self._before) and syntax_error(with_body))


def _without_repetition(before: str, code: str, after: str) -> str:
    """Return `code` up to where it repeats, to its end, the text that follows it in the file."""
    following = _lines_with_code(after.partition("\n")[2])
    if not following:
        return code
    head = before.rpartition("\n")[2]
    lines = code.split("\n")
    whole_lines = [head + lines[0], *lines[1:]]
    for number, line in enumerate(whole_lines):
        if number == 0 and head.strip():
            continue  # it continues an existing line
        if line.rstrip() != following[0]:
            continue
        # One may be longer: the answer may be cut, or the file may end.
        rest = _lines_with_code("\n".join(lines[number + 1 :]))
        shared = min(len(rest), len(following) - 1)
        if rest[:shared] == following[1 : shared + 1]:
            return "\n".join(lines[:number])
    return code


def _lines_with_code(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def _longest_valid_start(before: str, code: str, after: str) -> str:
    """Return the longest start of `code`, in whole lines, with which the file parses.

    Returns all of it if there is none.
    """
    lines = split_lines(code)
    for count in range(len(lines), 0, -1):
        start = "".join(lines[:count]).rstrip()
        if start and not syntax_error(before + start + after):
            return start
    return code
