"""Asks a model a question, and gets the answer in words or as code."""

from __future__ import annotations

from dataclasses import replace

from pytest_starcoder.assist.model_code import Code, unify_newlines
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.code_blocks import extract_code, parsing_prefix, python_problem
from pytest_starcoder.model.prompt import Completion
from pytest_starcoder.model.prompts import model_family, render
from pytest_starcoder.text.display import one_line, printable

_OPENINGS = {"html": "<!DOCTYPE html>\n"}
"""The first line of every file of a language; a base model continues it."""

_TITLES = {"python": "Python", "html": "HTML"}
_FILES = {
    "python": "solution_1.py",
    "html": "index.html",
    "javascript": "solution_1.js",
    "c++": "solution_1.cpp",
}
_COMMENTS = {"html": ("<!--\n", "", "\n-->"), "css": ("/*\n", "", "\n*/"), "sql": ("", "-- ", "")}
"""What a comment begins with, each of its lines begins with, and it ends with."""

_SLASH_LANGUAGES = frozenset(
    "javascript typescript java c c++ c# go rust php kotlin swift scala".split()
)

_STARCODER_COMMENT = "# Here is the correct implementation of the code exercise\n"
"""The comment with which StarCoder's authors measured the best Python."""

_ASK_AGAIN = "Reword the question, or ask another model."
_MORE_TOKENS = "Allow more tokens with STARCODER_MAX_TOKENS, or reword the question."


def ask(question: str, client: Client, on_text: OnText) -> Completion:
    """Return the answer in words.

    A base model gets the question in the form of the questions that it was trained on.
    """
    kind = model_family(client.model(), client.settings.family)
    prompt = render(kind, "ask", question=question.strip(), title=one_line(question, 80))
    return answer(replace(prompt, max_tokens=client.settings.max_tokens), "", client, on_text)


def ask_for_code(question: str, language: str, client: Client) -> Code:
    """Return the code that answers `question`. `language` is a name such as "python" or "html".

    Python is checked; other languages are not. Raises UnreadableAnswer if the answer has no
    code, or Python that does not parse.
    """
    kind = model_family(client.model(), client.settings.family)
    opening = _OPENINGS.get(language, "")
    prompt = render(
        kind,
        "code",
        question=question.strip(),
        request=_request(question.strip(), language, kind),
        file=_FILES.get(language, f"solution_1.{language}"),
        language=language,
        opening=opening,
    )
    prompt = replace(prompt, max_tokens=client.settings.max_tokens)
    completion = answer(prompt, "", client, lambda _piece: None)
    text = _whole_lines(completion)
    is_python = language == "python"
    is_whole = True
    if is_python:
        code, is_whole = _python_code(text)
    else:
        if prompt.chat or "<!doctype" in text.lower():
            opening = ""  # the page has its own
        code = extract_code(opening + text, language) or extract_code(text, language)
    _check_code(code, language, completion)
    is_cut = completion.truncated or not is_whole
    return Code(code.rstrip() + "\n", language, completion.model, checked=is_python, cut=is_cut)


def _whole_lines(completion: Completion) -> str:
    """Return the text of an answer, without a last line that the limit cut."""
    # Control characters are removed before the check, so the checked code is the shown code.
    text = printable(unify_newlines(completion.text), tabs=True)
    if completion.truncated and "\n" in text.strip():
        # Half a line may parse all the same, so the check would not notice.
        text = text[: text.rindex("\n") + 1]
    return text


def _python_code(text: str) -> tuple[str, bool]:
    """Return the Python of an answer, and whether nothing of it was left out."""
    block = extract_code(text, "python")
    candidates = [text, parsing_prefix(text), block, parsing_prefix(block)]
    if "```" in text:
        candidates.insert(1, block)
    for code in candidates:
        if not python_problem(code):
            return code, code.strip() in (text.strip(), block.strip())
    return block, False


def _check_code(code: str, language: str, completion: Completion) -> None:
    """Raise UnreadableAnswer if there is no code, or Python that does not parse."""
    hint = _MORE_TOKENS if completion.truncated else _ASK_AGAIN
    if not code.strip():
        title = _TITLES.get(language, language)
        raise UnreadableAnswer(f"{completion.model} answered without any {title}.", hint)
    problem = python_problem(code) if language == "python" else ""
    if problem:
        raise UnreadableAnswer(f"{completion.model} wrote Python that {problem}.", hint)


def _request(question: str, language: str, kind: str) -> str:
    """Return the question as the comment or docstring at the top of a file."""
    if language == "python" and kind == "completion":
        # After a comment, the demo model goes on with comments.
        quoted = question.replace("\\", "\\\\").replace('"', "'")
        return f'"""{quoted}"""\n'
    default_line = "// " if language in _SLASH_LANGUAGES else "# "
    begin, line_start, end = _COMMENTS.get(language, ("", default_line, ""))
    lines = [f"{line_start}{line}".rstrip() for line in question.splitlines()]
    comment = begin + "\n".join(lines) + end
    if line_start:
        comment += "\n"  # ends the comment, or a small model writes on in it
    if language == "python" and kind.startswith("starcoder"):
        return _STARCODER_COMMENT + comment
    return comment
