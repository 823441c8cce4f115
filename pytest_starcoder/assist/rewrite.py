"""A file changed by a model: a hole filled, or some lines rewritten. Nothing is written to disk here.

A model gets and gives lines that end with a newline alone; what is put into a
file has the file's own line ends, and no character that a terminal would obey:
what is shown is what is written.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.assist.written_code import Rewrite
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.model.client import ROOM, Client, cap_answer
from pytest_starcoder.model.code_blocks import extract_code, file_language
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import FORMS, family, render
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.redaction.redactor import REDACTED, redact
from pytest_starcoder.source.diff import lines_of
from pytest_starcoder.text.display import printable

Redact = Callable[[str], str]

MORE = "allow it more tokens with STARCODER_MAX_TOKENS"
_TAG = re.compile(r"<[^<>\s]{1,42}>")
_DEFINITION = re.compile(r"(?:async )?def |class |@|import |from ")
_FENCE = "```"
_NEXT = ("\ndef ", "\nasync def ", "\nclass ", "\n@", "\nif __name__")
"""Where a function ends that is followed by something else."""


def complete(path: str, text: str, line: int, client: Client, redact: Redact = redact) -> Rewrite:
    """What belongs after the 1-based `line` of `text`, or at its end where it is blank or half written.

    The text after it is respected where the model's family can fill a hole.
    Raises UnreadableAnswer if the model wrote nothing, or a hidden secret in the wrong place.
    """
    lines = lines_of(text)
    head, end = _divided(lines[line - 1])
    before, after = "".join(lines[: line - 1]) + head, end + "".join(lines[line:])
    kind = family(client.model(), client.settings.family)
    clean = lines_of(redact(text))
    shown, rest = _divided(clean[line - 1])
    shown, rest = "".join(clean[: line - 1]) + shown, rest + "".join(clean[line:])
    completion = client.complete(_filling(path, _newlines(shown), _newlines(rest), kind, client))
    written = _code(completion, path, text, (kind, "fill"))
    written = with_secrets(written, "".join(clean), text, completion.model)
    if kind in ("chat", "starcoder2-instruct"):
        written = _placed(path, _newlines(before), written, after)
    written = _without_repetition(head, written, _newlines(after))
    if completion.truncated and "\n" in written.strip():
        written = written[: written.rindex("\n")]  # the line that the limit cut
    if _is_python(path):
        written = _closing(before, written, after)
    written = written.rstrip()
    if not written:
        raise UnreadableAnswer(
            f"{completion.model} wrote nothing there.", "Choose another line, or another model."
        )
    written = _ended_as(end or lines[0], written)
    return _rewritten(path, text, before + written + after, written, completion.model)


def edit(
    path: str,
    text: str,
    first: int,
    last: int,
    instruction: str,
    client: Client,
    redact: Redact = redact,
) -> Rewrite:
    """The 1-based lines `first` to `last` of `text` as `instruction` wants them.

    The model does not see their secrets; those it keeps are put back. Raises
    ConfigError if these lines are blank, and UnreadableAnswer if the model wrote
    nothing, the same again, or a secret elsewhere.
    """
    lines = lines_of(text)
    while first < last and not lines[first - 1].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    old = _newlines("".join(lines[first - 1 : last]))
    if not old.strip():
        raise ConfigError(
            f"{path} has nothing to change there: blank lines alone.", "Use `starcoder complete`."
        )
    clean = "".join(lines_of(redact(text))[first - 1 : last])
    bare = textwrap.dedent(_newlines(clean)).rstrip()
    kind = family(client.model(), client.settings.family)
    prompt = render(
        kind,
        "edit",
        path=path,
        language=file_language(path),
        code=bare,
        instruction=redact(instruction.strip()),
    )
    completion = client.complete(replace(prompt, max_tokens=client.settings.max_tokens))
    written = textwrap.dedent(_code(completion, path, text, (kind, "edit")).strip("\n")).rstrip()
    if not written:
        raise UnreadableAnswer(
            f"{completion.model} wrote nothing in place of these lines.", _OTHERWISE
        )
    if written == bare:
        raise UnreadableAnswer(f"{completion.model} wrote these lines as they are.", _OTHERWISE)
    written = with_secrets(written, clean, "".join(lines[first - 1 : last]), completion.model)
    end = _divided(lines[last - 1])[1]
    new = _ended_as(end or lines[0], textwrap.indent(written, _margin(old))) + end
    after = "".join([*lines[: first - 1], new, *lines[last:]])
    rewrite = _rewritten(path, text, after, new, completion.model)
    if completion.truncated:
        return replace(rewrite, problem=f"the answer was cut ({MORE}, or name fewer lines)")
    if _FENCE in old and f"\n{_FENCE}" in (
        *FORMS[kind, "edit"].stop,
        "\n```" if kind == "chat" else "",
    ):
        return replace(
            rewrite, problem=f"these lines have {_FENCE} in them, at which an answer ends"
        )
    return rewrite


def with_secrets(written: str, clean: str, text: str, model: str) -> str:
    """Return `written` with the secrets of `text` put back; the model only saw `clean`.

    A hidden value is restored after the same words as before. Raises
    UnreadableAnswer if it is unclear which one is meant.
    """
    if REDACTED not in written:
        return written
    hidden = _hidden(clean, text)
    lines = []
    for line in written.split("\n"):
        restored, *pieces = line.split(REDACTED)
        for piece in pieces:
            words = restored.strip()
            meant = hidden.get(words) or set().union(*hidden.values())
            if len(meant) != 1:
                raise UnreadableAnswer(
                    f"{model} wrote [redacted] where there was no secret before.",
                    "Choose lines without secrets, or change these by hand.",
                )
            restored += next(iter(meant)) + piece
        lines.append(restored)
    return "\n".join(lines)


def _hidden(clean: str, text: str) -> dict[str, set[str]]:
    """Return the values hidden in the lines of `clean`, by the words before each."""
    hidden: dict[str, set[str]] = {}
    for shown, line in zip(_newlines(clean).split("\n"), _newlines(text).split("\n"), strict=True):
        pattern = "(.*?)".join(map(re.escape, shown.split(REDACTED)))
        values = re.fullmatch(pattern, line) if REDACTED in shown else None
        if values is None:
            continue
        before = ""
        for part, value in zip(shown.split(REDACTED), values.groups(), strict=False):
            before += part
            hidden.setdefault(before.strip(), set()).add(value)
            before += value
    return hidden


_OTHERWISE = "Say it in other words, or ask another model."


def _filling(path: str, before: str, after: str, kind: str, client: Client) -> Prompt:
    """The prompt with as much of the file around the hole as fits, what is near rather than what is far."""
    near, far = lines_of(before), lines_of(after)
    following = next((line.rstrip() for line in far[1:] if len(line.strip()) > 3), "")
    while True:
        prompt = render(
            kind,
            "fill",
            repository=path.split("/")[0] if "/" in path else "project",
            path=path,
            language=file_language(path),
            before="".join(near),
            after="".join(far),
        )
        if following and not prompt.chat:
            prompt = replace(
                prompt, stop=(*prompt.stop, f"\n{following}\n")
            )  # the model goes on where the file does
        if kind == "completion" and _is_python(path) and _in_a_block(before):
            prompt = replace(
                prompt, stop=(*prompt.stop, *_NEXT)
            )  # without holes it would write the next ones too
        prompt = cap_answer(prompt, client.settings)
        if client.fits(prompt, ROOM + prompt.max_tokens) or sum(map(len, near + far)) < 200:
            return prompt
        near, far = _nearer(near, far)


def _in_a_block(before: str) -> bool:
    """Whether Python goes on in a block: on an indented line, or right below the block's header."""
    return before[before.rfind("\n") + 1 :][:1].isspace() or before.rstrip().endswith(":")


def _nearer(near: list[str], far: list[str]) -> tuple[list[str], list[str]]:
    """A third less of what stands around the hole, in whole lines as long as there are several."""
    if len(near) < 2 and len(far) < 2:
        return [part[len(part) // 3 :] for part in near], [
            part[: -(len(part) // 3) or None] for part in far
        ]
    if len(near) > 2 * len(far) or len(far) < 2:
        return near[len(near) // 3 or 1 :], far
    return near, far[: -(len(far) // 3 or 1)]


# --- the answer ---


def _code(completion: Completion, path: str, text: str, form: tuple[str, str]) -> str:
    """The code of an answer, with the control tokens that stood in `text` as they stood there."""
    written = _newlines(completion.text)
    if form[0] == "chat":
        written = extract_code(written, file_language(path)) or _block(written, file_language(path))
    elif f"\n{_FENCE}" in FORMS[form].stop:
        written = re.split(r"^```", written, maxsplit=1, flags=re.MULTILINE)[0]
    for tag in {*_TAG.findall(text)}:
        written = written.replace(neutralize(tag), tag)
    return printable(written, tabs=True)


def _block(written: str, language: str) -> str:
    """The first block between fences without a label, or any for a language that has no name here."""
    label = r"[ \t]*" if language else ".*"
    found = re.search(rf"^```{label}\n(.*?)(?:^```|\Z)", written, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _placed(path: str, before: str, block: str, after: str) -> str:
    """A block of code as it goes to the end of `before`: on that line where it is half written, else below it."""
    own = _margin(block)
    bare = textwrap.dedent(block.strip("\n")).rstrip()
    head = before[before.rfind("\n") + 1 :]
    told = head.strip()
    begun, _, rest = bare.partition("\n")
    indentation = _indentation(head)
    if told and begun.startswith(told):  # it begins with the line that is there
        more = begun[len(told) :]
        joined = f"{more.lstrip() if head[-1:].isspace() else more}\n{textwrap.indent(rest, indentation)}"
        return joined.rstrip()
    if told and _half_written(path, before):
        return f"{begun}\n{textwrap.indent(rest, indentation)}".rstrip()
    margins = _margins(before, own, "" if told else head)
    if not head and _DEFINITION.match(
        bare
    ):  # after a blank line: it belongs to what follows, or to the file
        margins.insert(
            0, own or _indentation(next((line for line in after.split("\n") if line.strip()), ""))
        )
    start = "\n" if told else ""
    placed = [
        start + textwrap.indent(bare, margin).removeprefix("" if told else head)
        for margin in margins
    ]
    if _is_python(path):
        return next((code for code in placed if not _error(before + code + after)), placed[0])
    return placed[0]


def _margins(before: str, own: str, head: str) -> list[str]:
    """Indentations that code can have after `before`, the likeliest first; `head` is what is there already."""
    last = next((line for line in reversed(before.split("\n")) if line.strip()), "")
    step = "\t" if "\n\t" in before else "    "
    likely = _indentation(last) + (step if last.rstrip().endswith((":", "{")) else "")
    return [
        margin for margin in (own or head or likely, likely, head, "") if margin.startswith(head)
    ]


def _half_written(path: str, before: str) -> bool:
    """Whether the last line of `before` has to go on."""
    if before[-1:].isspace():
        return True
    if not _is_python(path):
        return not before.endswith(("{", "}", ";", ":", ">", ","))
    deeper = _indentation(before[before.rfind("\n") + 1 :]) + " "
    return bool(_error(before)) and bool(_error(f"{before}\n{deeper}pass"))


def _without_repetition(head: str, written: str, after: str) -> str:
    """`written` up to where it says what follows it in the file anyway, to its end."""
    following = [line.rstrip() for line in after.split("\n")[1:] if line.strip()]
    lines = written.split("\n")
    for number, line in enumerate(lines):
        whole = (head if not head.strip() else "") + line if number == 0 else line
        if not following or whole.rstrip() != following[0] or (number == 0 and head.strip()):
            continue
        said = [other.rstrip() for other in lines[number + 1 :] if other.strip()]
        if all(one == other for one, other in zip(said, following[1:], strict=False)):
            return "\n".join(lines[:number])
    return written


def _closing(before: str, written: str, after: str) -> str:
    """The longest beginning of `written`, in whole lines, with which the file parses; all of it where none does."""
    lines = lines_of(written)
    for count in range(len(lines), 0, -1):
        part = "".join(lines[:count]).rstrip()
        if part and not _error(before + part + after):
            return part
    return written


# --- lines and files ---


def _divided(line: str) -> tuple[str, str]:
    """A line without its end, and the end."""
    content = line.rstrip("\r\n")
    return content, line[len(content) :]


def _newlines(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text)


def _ended_as(line: str, text: str) -> str:
    """`text` with the end that `line` has."""
    return text.replace("\n", _divided(line)[1] or "\n")


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _margin(code: str) -> str:
    """The white space that every line of `code` begins with."""
    lines = [line for line in code.split("\n") if line.strip()]
    bare = textwrap.dedent("\n".join(lines)).split("\n")
    return lines[0][: len(lines[0]) - len(bare[0])] if lines else ""


def _rewritten(path: str, before: str, after: str, inserted: str, model: str) -> Rewrite:
    problem = ""
    if _is_python(path) and (error := _error(after)) and not _error(before):
        problem = f"the file would not parse any more ({error})"
    return Rewrite(path, before, after, inserted, model, problem)


def _is_python(path: str) -> bool:
    return file_language(path) == "python"


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
