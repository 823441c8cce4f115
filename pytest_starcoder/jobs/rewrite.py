"""A file changed by a model: a hole filled, or some lines rewritten. Nothing is written to disk here."""

from __future__ import annotations

import ast
import textwrap
import warnings
from dataclasses import replace

from pytest_starcoder.client import ROOM, Client, capped
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.prompts import family, render
from pytest_starcoder.text.code import extract, language_of_file
from pytest_starcoder.text.diff import lines_of
from pytest_starcoder.values import Prompt, Rewrite

AGAIN = "Another model may do better."


def complete(path: str, text: str, line: int, client: Client) -> Rewrite:
    """What belongs after the 1-based `line` of `text`, or at its end where it is blank or half written.

    The text after it is respected where the model's family can fill a hole.
    Raises UnreadableAnswer where the model wrote nothing.
    """
    lines = lines_of(text)
    before = "".join(lines[:line])
    end = before[len(before.rstrip("\r\n")) :]
    before, after = before.removesuffix(end), end + "".join(lines[line:])
    kind = family(client.model(), client.settings.family)
    prompt = _filling(path, before, after, kind, client)
    completion = client.complete(prompt)
    written = extract(completion.text, language_of_file(path)) if prompt.chat else completion.text
    written = _ended_as(text, written.rstrip())
    if not written.strip():
        raise UnreadableAnswer(f"{completion.model} wrote nothing there.", AGAIN)
    if path.endswith(".py"):
        written = _closing(before, written, after)
    return _rewritten(path, text, before + written + after, written, completion.model)


def edit(path: str, text: str, first: int, last: int, instruction: str, client: Client) -> Rewrite:
    """The 1-based lines `first` to `last` of `text` as `instruction` wants them.

    Raises UnreadableAnswer where the model wrote nothing, or the same again.
    """
    lines = lines_of(text)
    old = "".join(lines[first - 1 : last])
    margin = _margin(old)
    kind = family(client.model(), client.settings.family)
    prompt = render(
        kind,
        "edit",
        path=path,
        language=language_of_file(path),
        code=textwrap.dedent(old).rstrip(),
        instruction=instruction.strip(),
    )
    completion = client.complete(capped(prompt, client))
    written = extract(completion.text, language_of_file(path)) if prompt.chat else completion.text
    new = textwrap.indent(textwrap.dedent(written.strip("\r\n")).rstrip(), margin)
    if not new.strip():
        raise UnreadableAnswer(f"{completion.model} wrote nothing in place of these lines.", AGAIN)
    new = _ended_as(text, new + ("\n" if old.endswith("\n") else ""))
    if new == old:
        raise UnreadableAnswer(f"{completion.model} wrote these lines as they are.", "Say more exactly what to change.")
    after = "".join([*lines[: first - 1], new, *lines[last:]])
    rewrite = _rewritten(path, text, after, new, completion.model)
    if completion.truncated:
        return replace(rewrite, problem="the answer was cut: allow it more with STARCODER_MAX_TOKENS")
    return rewrite


def _filling(path: str, before: str, after: str, kind: str, client: Client) -> Prompt:
    """The prompt with as much of the file around the hole as fits, what is near rather than what is far."""
    near, far = lines_of(before), lines_of(after)
    following = next((line.rstrip() for line in far[1:] if len(line.strip()) > 3), "")
    while True:
        prompt = render(
            kind,
            "fill",
            repository=path.split("/")[0],
            path=path,
            language=language_of_file(path),
            before="".join(near),
            after="".join(far),
        )
        if following and not prompt.chat:
            prompt = replace(prompt, stop=(*prompt.stop, f"\n{following}"))  # the model goes on where the file does
        prompt = capped(prompt, client)
        if (len(near) < 2 and len(far) < 2) or client.fits(prompt, ROOM + prompt.max_tokens):
            return prompt
        if len(near) > 2 * len(far) or len(far) < 2:
            near = near[len(near) // 3 or 1 :]
        else:
            far = far[: -(len(far) // 3 or 1)]


def _closing(before: str, written: str, after: str) -> str:
    """The longest beginning of `written`, in whole lines, with which the file parses; all of it where none does."""
    lines = lines_of(written)
    for count in range(len(lines), 0, -1):
        part = "".join(lines[:count]).rstrip()
        if part and not _error(before + part + after):
            return part
    return written


def _ended_as(text: str, written: str) -> str:
    """`written` with the line ends of `text`."""
    return "\r\n".join(written.splitlines()) + ("\r\n" if written.endswith("\n") else "") if "\r\n" in text else written


def _rewritten(path: str, before: str, after: str, inserted: str, model: str) -> Rewrite:
    problem = ""
    if path.endswith(".py") and (error := _error(after)) and not _error(before):
        problem = f"the file would not parse any more ({error})"
    return Rewrite(path, before, after, inserted, model, problem)


def _error(source: str) -> str:
    """Why Python cannot parse `source`; empty where it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as exc:
        return f"line {exc.lineno}: {exc.msg}"
    except (ValueError, RecursionError, MemoryError) as exc:
        return str(exc)
    return ""


def _margin(code: str) -> str:
    """The white space that every line of `code` begins with."""
    lines = [line for line in code.splitlines() if line.strip()]
    bare = textwrap.dedent("\n".join(lines)).splitlines()
    return lines[0][: len(lines[0]) - len(bare[0])] if lines else ""
