"""A question of the user's, answered in words or by code alone."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_starcoder.assist.written_code import Code
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.code_blocks import extract_code, parsing_prefix, python_problem
from pytest_starcoder.model.prompt import Completion
from pytest_starcoder.model.prompts import family, render
from pytest_starcoder.text.display import one_line, printable

OPENINGS = {"html": "<!DOCTYPE html>\n"}
"""How a file of a language begins, whatever it is about: the answer is its continuation."""

_TITLES = {"python": "Python", "html": "HTML"}
_FILES = {
    "python": "solution_1.py",
    "html": "index.html",
    "javascript": "solution_1.js",
    "c++": "solution_1.cpp",
}
_AGAIN = "Ask in other words, or another model."
_MORE = "Allow it more tokens with STARCODER_MAX_TOKENS, or ask in other words."
_COMMENTS = {"html": ("<!--\n", "", "\n-->"), "css": ("/*\n", "", "\n*/"), "sql": ("", "-- ", "")}
_SLASHES = (
    "javascript",
    "typescript",
    "java",
    "c",
    "c++",
    "c#",
    "go",
    "rust",
    "php",
    "kotlin",
    "swift",
    "scala",
)


def ask(question: str, client: Client, on_text: OnText) -> Completion:
    """The answer in words; a base model gets the question in the form in which it read questions."""
    kind = family(client.model(), client.settings.family)
    prompt = render(kind, "ask", question=question.strip(), title=one_line(question, 80))
    return answer(replace(prompt, max_tokens=client.settings.max_tokens), "", client, on_text)


def ask_for_code(question: str, language: str, client: Client) -> Code:
    """Return the code that answers `question`. `language` is a name such as "python" or "html".

    Python is checked; other languages are not. Raises UnreadableAnswer if the answer has no
    code, or Python that does not parse.
    """
    kind = family(client.model(), client.settings.family)
    opening = OPENINGS.get(language, "")
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
    # Cleaned before it is checked: what is checked is what is shown.
    text = printable(re.sub(r"\r\n?", "\n", completion.text), tabs=True)
    if completion.truncated and "\n" in text.strip():
        text = text[: text.rindex("\n") + 1]  # the line that the limit cut may well parse
    begun = prompt.chat or "<!doctype" in text.lower()  # then the page has its own beginning
    code, whole = _code("" if begun else opening, text, language)
    cut = completion.truncated or not whole
    is_python = language == "python"
    problem = python_problem(code) if is_python else ""
    hint = _MORE if completion.truncated else _AGAIN
    if not code.strip():
        raise UnreadableAnswer(
            f"{completion.model} answered without any {_TITLES.get(language, language)}.", hint
        )
    if problem:
        raise UnreadableAnswer(f"{completion.model} wrote Python that {problem}.", hint)
    return Code(code.rstrip() + "\n", language, completion.model, checked=is_python, cut=cut)


def _code(opening: str, text: str, language: str) -> tuple[str, bool]:
    """The code of an answer, and whether nothing of it had to be left out: what stands as code, else what is marked."""
    written = opening + text
    marked = extract_code(written, language) or (extract_code(text, language) if opening else "")
    if language != "python":
        return marked, True
    fenced = [marked] if "```" in written else []
    for code in (written, *fenced, parsing_prefix(written), marked, parsing_prefix(marked)):
        if not python_problem(code):
            return code, code.strip() in (written.strip(), marked.strip())
    return marked, False


def _request(question: str, language: str, kind: str) -> str:
    """The question as the comment at the top of a file, in the words that helped StarCoder most with Python.

    Any other model gets it as the docstring: after a comment the demo model went on with comments.
    """
    if language == "python" and kind == "completion":
        quoted = question.replace("\\", "\\\\").replace('"', "'")
        return f'"""{quoted}"""\n'
    begin, line, end = _COMMENTS.get(language, ("", "// " if language in _SLASHES else "# ", ""))
    told = begin + "\n".join(f"{line}{part}".rstrip() for part in question.splitlines()) + end
    if line:
        told += "\n"  # the comment is over: a small model would write on in it
    prompted = language == "python" and kind.startswith("starcoder")
    return (
        f"# Here is the correct implementation of the code exercise\n{told}" if prompted else told
    )
