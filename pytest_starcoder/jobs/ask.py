"""A question of the user's, answered in words or by code alone."""

from __future__ import annotations

from pytest_starcoder.backends import OnText
from pytest_starcoder.client import Client, capped
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.jobs.answer import answer
from pytest_starcoder.prompts import family, render
from pytest_starcoder.text.code import check, extract, parsing_prefix
from pytest_starcoder.text.display import one_line
from pytest_starcoder.values import Code, Completion

OPENINGS = {"html": "<!DOCTYPE html>\n"}
"""How a file of a language begins, whatever it is about: the answer is its continuation."""

_TITLES = {"python": "Python", "html": "HTML"}
_FILES = {"python": "solution_1.py", "html": "index.html", "javascript": "solution_1.js", "c++": "solution_1.cpp"}
_AGAIN = "Ask in other words, or another model."
_COMMENTS = {"html": ("<!--\n", "", "\n-->"), "css": ("/*\n", "", "\n*/"), "sql": ("", "-- ", "")}
_SLASHES = ("javascript", "typescript", "java", "c", "c++", "c#", "go", "rust", "php", "kotlin", "swift", "scala")


def ask(question: str, client: Client, on_text: OnText) -> Completion:
    """The answer in words; a base model gets the question in the form in which it read questions."""
    kind = family(client.model(), client.settings.family)
    prompt = render(kind, "ask", question=question.strip(), title=one_line(question, 80))
    return answer(capped(prompt, client), "", client, on_text)


def ask_for_code(question: str, language: str, client: Client) -> Code:
    """The code that answers `question`, checked; `language` is a lower-case name: python, html, javascript, …

    Raises UnreadableAnswer where no code came back, or none that its language accepts.
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
    completion = answer(capped(prompt, client), "", client, lambda _piece: None)
    code, whole = _code("" if prompt.chat else opening, completion.text, language)
    cut = completion.truncated or not whole
    verdict = check(code, language)
    if not code.strip():
        raise UnreadableAnswer(f"{completion.model} answered without any {_TITLES.get(language, language)}.", _AGAIN)
    if verdict.accepted is False:
        raise UnreadableAnswer(
            f"{completion.model} wrote {_TITLES[language]} that {verdict.problem}.",
            "Allow it more tokens with STARCODER_MAX_TOKENS, or ask in other words." if cut else _AGAIN,
        )
    return Code(code.rstrip() + "\n", language, completion.model, checked=verdict.accepted is True, cut=cut)


def _code(opening: str, text: str, language: str) -> tuple[str, bool]:
    """The code of an answer, and whether nothing of it had to be left out: what stands as code, else what is marked."""
    written = opening + text
    if language == "python":
        for code in (written, parsing_prefix(written)):
            if check(code, language).accepted:
                return code, code.strip() == written.strip()
        marked = extract(written, language)
        return (marked, True) if check(marked, language).accepted else (parsing_prefix(marked) or marked, False)
    return extract(written, language) or (extract(text, language) if opening else ""), True


def _request(question: str, language: str, kind: str) -> str:
    """The question as the comment at the top of a file, in the words that helped StarCoder most with Python."""
    begin, line, end = _COMMENTS.get(language, ("", "// " if language in _SLASHES else "# ", ""))
    told = begin + "\n".join(f"{line}{part}".rstrip() for part in question.splitlines()) + end
    prompted = language == "python" and kind.startswith("starcoder")
    return f"# Here is the correct implementation of the code exercise\n{told}" if prompted else told
