"""Code that a model wrote: values, and what completing and editing share."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass

from pytest_starcoder.model.code_blocks import extract_code, file_language
from pytest_starcoder.model.prompt import Completion
from pytest_starcoder.model.prompts import FORMS
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.text.display import printable

FENCE = "```"

_TAG = re.compile(r"<[^<>\s]{1,42}>|\[[A-Z]+\]")


@dataclass(frozen=True)
class Code:
    """Code that a model wrote, and nothing else.

    `checked`: it is Python and parses; other languages are not checked. `cut`: the answer
    reached a limit, and its unfinished end is not in `text`.
    """

    text: str
    language: str
    model: str
    checked: bool
    cut: bool = False


@dataclass(frozen=True)
class Rewrite:
    """One file before and after a model's change.

    `inserted` is what the model wrote into it. `problem` says why the new text should not be
    kept, empty if it may; a file that did not parse before may still not parse.
    """

    path: str
    before: str
    after: str
    inserted: str
    model: str
    problem: str = ""


def make_rewrite(path: str, before: str, after: str, inserted: str, model: str) -> Rewrite:
    """Return the change of a file, with a problem if the file parsed only before it."""
    error = syntax_error(after) if is_python(path) else ""
    problem = ""
    if error and not syntax_error(before):
        problem = f"the file would no longer parse ({error})"
    return Rewrite(path, before, after, inserted, model, problem)


def code_of_answer(completion: Completion, path: str, text: str, form: tuple[str, str]) -> str:
    """Return the code of an answer, with the special tokens of `text` as they stand there.

    `form` is the family and name of the prompt. Control characters are removed: what is shown
    is what is written.
    """
    code = unify_newlines(completion.text)
    language = file_language(path)
    if form[0] == "chat":
        code = extract_code(code, language) or _first_block(code, language)
    elif f"\n{FENCE}" in FORMS[form].stop:
        code = re.split(rf"^{FENCE}", code, maxsplit=1, flags=re.MULTILINE)[0]
    for tag in set(_TAG.findall(text)):
        code = code.replace(neutralize(tag), tag)
    return printable(code, tabs=True)


def _first_block(text: str, language: str) -> str:
    """Return the first block without a label, or of any label if the language is unknown."""
    label = r"[ \t]*" if language else ".*"
    pattern = rf"^{FENCE}{label}\n(.*?)(?:^{FENCE}|\Z)"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def is_python(path: str) -> bool:
    return file_language(path) == "python"


def syntax_error(source: str) -> str:
    """Return why Python cannot parse `source`; empty if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as exc:
        return f"line {exc.lineno}: {exc.msg}"
    except (ValueError, RecursionError, MemoryError) as exc:
        return str(exc)
    return ""


# --- lines ---


def unify_newlines(text: str) -> str:
    """Return `text` with `\\n` as every line end, which is what models read and write."""
    return re.sub(r"\r\n?", "\n", text)


def split_line_end(line: str) -> tuple[str, str]:
    """Return a line without its end, and the end."""
    content = line.rstrip("\r\n")
    return content, line[len(content) :]


def with_line_ends_of(line: str, text: str) -> str:
    """Return `text` with the line end of `line`."""
    return text.replace("\n", split_line_end(line)[1] or "\n")


def common_margin(code: str) -> str:
    """Return the white space with which every line of `code` begins."""
    lines = [line for line in code.split("\n") if line.strip()]
    if not lines:
        return ""
    dedented = textwrap.dedent("\n".join(lines)).split("\n")
    return lines[0][: len(lines[0]) - len(dedented[0])]
