"""The question to a model why a test failed, and its answer.

Where running the test has shown a change that makes it pass, the model says how that explains the
failure. Otherwise a model that follows instructions is asked for the wrong line and a correction,
which can be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.case_text import code_by_file, code_to_show, describe
from pytest_starcoder.explain.correction import Correction, parse_correction
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.grounding import Evidence, Grounding
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.answer_quality import clean_answer, find_flaw
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.choice import model_name
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client, cap_answer, fit_prompt, shorten_to_fit
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.settings import Settings

Redact = Callable[[str], str]

MAX_PROMPT_TOKENS = 3800
"""By the estimate, which is half too high: with its answer, a prompt fits the smallest window."""


def ask_why(case: Case, client: Client, on_text: OnText, redact: Redact) -> Answer:
    """Ask the model of `client` why a test failed; `on_text` gets the answer as it is written.

    Names in the answer that were not in the prompt are marked. Raises a BackendError,
    or UnreadableAnswer if the answer is empty.
    """
    family = model_family(client.model(), client.settings.family)
    question = Question(case, redact)
    evidence = question.evidence()
    stream = _AnswerStream(evidence, lambda piece: on_text(redact(piece)))
    try:
        completion = _ask(question, family, "explain", client, stream.add)
    finally:
        stream.end()  # also shows what was written before an error
    # An empty prompt is the instruction and its worked examples.
    examples = render(family, "explain", code="", case="").text
    flaw = find_flaw(completion.text, question.text, examples)
    grounding = Grounding(evidence)
    marked = grounding.add(clean_answer(completion.text)) + grounding.end()
    why = marked.strip()
    if not why:
        raise UnreadableAnswer(
            f"{completion.model} returned an empty answer.", "Another model may do better."
        )
    return Answer(
        redact(why),
        completion.model,
        truncated=completion.truncated,
        from_cache=completion.from_cache,
        flaw=flaw,
        unsupported=tuple(redact(name) for name in grounding.unsupported),
    )


def can_correct(client: Client) -> bool:
    """Return whether the model follows instructions well enough to answer in a given form."""
    return (model_family(client.model(), client.settings.family), "correct") in FORMS


def ask_for_correction(case: Case, client: Client, redact: Redact) -> Correction | None:
    """Ask which line is wrong and how to correct it; None if the answer does not say.

    Raises a BackendError, or UnreadableAnswer if the answer is empty.
    """
    question = Question(case, redact)
    family = model_family(client.model(), client.settings.family)
    completion = _ask(question, family, "correct", client, lambda _piece: None)
    return parse_correction(completion.text)


def _ask(
    question: Question, family: str, form: str, client: Client, on_text: OnText
) -> Completion:
    # The answer counts, too: without room for it the server would cut the prompt.
    prompt = fit_prompt(
        lambda parts: question.render(family, form, parts),
        question.parts,
        client,
        MAX_PROMPT_TOKENS,
    )
    return answer(prompt, FORMS[family, form].lead, client, on_text)


def preview_prompt(case: Case, settings: Settings, redact: Redact) -> Prompt:
    """Return the prompt that would be sent, without a server: tokens are estimated."""
    # The form is guessed from the name: only a server knows the architecture.
    family = model_family(Model(model_name(settings), "", "", 0), settings.family)
    question = Question(case, redact)
    return shorten_to_fit(
        lambda parts: cap_answer(question.render(family, "explain", parts), settings),
        question.parts,
        lambda prompt: estimate(prompt.text) <= MAX_PROMPT_TOKENS,
    )


def file_of_cause(case: Case) -> str:
    """Return the test file of a cause."""
    return case.cause.first.nodeid.partition("::")[0]


class Question:
    """A case as it is presented to a model; `parts` are its texts, most important first."""

    def __init__(self, case: Case, redact: Redact) -> None:
        self._excerpts = code_to_show(case)
        self._places: dict[str, tuple[str, int]] = {}
        for excerpt in self._excerpts:
            self._places[redact(excerpt.text)] = excerpt.path, excerpt.first
        self._redact = redact
        self._frames = case.cause.first.frames
        self._pieces = case.breakage.pieces
        # The case comes first, so that it is the last to be left out.
        case = replace(case, breakage=case.breakage.redacted(redact))
        self.parts = [redact(describe(case)), *self._places]

    @property
    def text(self) -> str:
        """All parts."""
        return "\n".join(self.parts)

    def render(self, family: str, form: str, parts: Sequence[str]) -> Prompt:
        """Return the prompt of `parts`, the first of which is the case."""
        code = self._redact(code_by_file(parts[1:], self._places))
        return render(family, form, code=code, case=parts[0])

    def evidence(self) -> Evidence:
        """Return what an answer may refer to."""
        lines: dict[str, set[int]] = {}
        for excerpt in self._excerpts:
            lines.setdefault(excerpt.path, set()).update(excerpt.lines)
        for frame in self._frames:
            end = frame.first_line + frame.source.count("\n") + 1
            lines.setdefault(frame.path, set()).update(range(frame.first_line, end))
        for piece in self._pieces:
            lines.setdefault(piece.path, set()).update(range(piece.line, piece.last + 1))
        return Evidence("\n".join([*self.parts, *lines]), lines)


class _AnswerStream:
    """Marks an answer while it is written.

    A JSON object or a fence is held back until the end, when its words are taken out of it.
    """

    def __init__(self, evidence: Evidence, on_text: OnText) -> None:
        self._grounding = Grounding(evidence)
        self._on_text = on_text
        self._beginning: str | None = ""

    def add(self, piece: str) -> None:
        if self._beginning is None:
            self._show(self._grounding.add(piece))
            return
        self._beginning += piece
        text = self._beginning.lstrip()
        if text and not text.startswith(("{", "`")):
            self._show(self._grounding.add(self._beginning))
            self._beginning = None

    def end(self) -> None:
        if self._beginning:
            self._show(self._grounding.add(clean_answer(self._beginning)))
        self._show(self._grounding.end())

    def _show(self, text: str) -> None:
        if text:
            self._on_text(text)
