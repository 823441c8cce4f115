"""The question to a model why a test failed, and its answer.

Where running the test has shown a change that makes it pass, the model says how that explains the
failure. Otherwise a model that follows instructions is asked for the wrong line and a correction,
which can be tried.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.case_text import code_by_file, code_to_show, describe
from pytest_starcoder.explain.checked_change import checked_change
from pytest_starcoder.explain.claims import find_objection
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.grounding import Evidence, Grounding
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.answer_quality import clean_answer, find_flaw
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.choice import model_name
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client, cap_answer, fit_prompt, shorten_to_fit
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.settings import Settings

Redact = Callable[[str], str]

CAUSE = "The test fails because"
"""The beginning of an answer where nothing was checked."""

NOTHING_SEEN = "names nothing that was seen"
"""The flaw of an answer that could be about any test."""

SENTENCE_ENDS = (". ", ".\n", "\n")
"""Stops after one sentence: further ones are seldom true, and take time."""

MAX_PROMPT_TOKENS = 3800
"""By the estimate, which is half too high: with its answer, a prompt fits the smallest window."""

_NAME = re.compile(r"[^\W\d]\w+")
_VALUE = re.compile(r"\d+(?:\.\d+)?|'[^'\n]+'")
_COMMON_WORDS = frozenset(keyword.kwlist) | frozenset(
    "self cls test tests value values result name code line list the not".split()
)


def ask_why(case: Case, client: Client, on_text: OnText, redact: Redact) -> Answer:
    """Ask the model of `client` why a test failed; `on_text` gets the answer in parts.

    Where a change was checked, the answer begins with it, at once. What the model adds is left out
    if it can be refuted: then the answer names no model. Otherwise names that were not in the
    prompt are marked, and `flaw` says what is wrong with the whole. Raises a BackendError, or
    UnreadableAnswer if the answer is empty.
    """
    question = Question(case, redact)
    change = checked_change(case)
    if change is not None:
        return _explain(question, redact(change.lead), client, on_text, redact)
    return _guess(question, client, on_text, redact)


def _explain(
    question: Question, lead: str, client: Client, on_text: OnText, redact: Redact
) -> Answer:
    """Let the model go on after the lead, which is true."""
    family = model_family(client.model(), client.settings.family)
    on_text(lead)
    opening = f"{lead}, because"
    completion = _ask(question, family, "explain", client, opening)
    clause = redact(" ".join(completion.text.removeprefix(opening).split())).rstrip(". ")
    objection = _objection(clause, completion, question)
    if objection:
        on_text(".")
        return Answer(f"{lead}.", note=f"what {completion.model} adds {objection}")
    on_text(f", because {clause}.")
    return Answer(f"{opening} {clause}.", completion.model, from_cache=completion.from_cache)


def _objection(clause: str, completion: Completion, question: Question) -> str:
    """Return why a clause is left out, to go on from "it …"; empty if it is shown."""
    if completion.truncated:
        return "was cut off"
    flaw = find_flaw(clause, question.text)
    return flaw or find_objection(clause, question.evidence())


def _guess(question: Question, client: Client, on_text: OnText, redact: Redact) -> Answer:
    """Let the model say what the cause is."""
    family = model_family(client.model(), client.settings.family)
    completion = _ask(question, family, "explain", client, CAUSE)
    evidence = question.evidence()
    # An empty prompt is the instruction and its worked examples.
    examples = render(family, "explain", lead=CAUSE, code="", case="").text
    flaw = find_flaw(completion.text, question.text, examples)
    if not flaw and not question.names_what_was_seen(completion.text):
        flaw = NOTHING_SEEN
    grounding = Grounding(evidence)
    marked = grounding.add(clean_answer(completion.text)) + grounding.end()
    why = redact(marked.strip())
    if not completion.truncated and why[-1:] not in (".", "!", "?"):
        why += "."  # the stop that ended the sentence
    if flaw != NOTHING_SEEN:
        on_text(why)
    return Answer(
        why,
        completion.model,
        truncated=completion.truncated,
        from_cache=completion.from_cache,
        flaw=flaw,
        unsupported=tuple(redact(name) for name in grounding.unsupported),
    )


def can_correct(client: Client) -> bool:
    """Return whether the model follows instructions well enough to answer in a given form."""
    return (model_family(client.model(), client.settings.family), "correct") in FORMS


def can_try_correction(case: Case, settings: Settings) -> bool:
    """Return whether running the tests of a case could show that a correction is right."""
    return settings.fix and bool(case.replay.failing) and not case.unsearched


def ask_for_correction(case: Case, client: Client, redact: Redact) -> str:
    """Ask for the function that is wrong, corrected; the code is empty if the answer has none.

    Raises a BackendError, or UnreadableAnswer if the answer is empty.
    """
    question = Question(case, redact)
    family = model_family(client.model(), client.settings.family)
    completion = _ask(question, family, "correct", client)
    return extract_code(completion.text, "python")


def _ask(question: Question, family: str, form: str, client: Client, lead: str = "") -> Completion:
    # The answer counts, too: without room for it the server would cut the prompt.
    prompt = fit_prompt(
        lambda parts: question.render(family, form, parts, lead),
        question.parts,
        client,
        MAX_PROMPT_TOKENS,
    )
    return answer(prompt, lead, client, lambda _piece: None)


def preview_prompt(case: Case, settings: Settings, redact: Redact) -> Prompt:
    """Return the prompt that would be sent, without a server: tokens are estimated."""
    # The form is guessed from the name: only a server knows the architecture.
    family = model_family(Model(model_name(settings), "", "", 0), settings.family)
    question = Question(case, redact)
    change = checked_change(case)
    form, lead = "explain", CAUSE
    if change is not None:
        lead = f"{redact(change.lead)}, because"
    elif (family, "correct") in FORMS and can_try_correction(case, settings):
        form, lead = "correct", ""
    return shorten_to_fit(
        lambda parts: cap_answer(question.render(family, form, parts, lead), settings),
        question.parts,
        lambda prompt: estimate(prompt.text) <= MAX_PROMPT_TOKENS,
    )


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

    def render(self, family: str, form: str, parts: Sequence[str], lead: str = "") -> Prompt:
        """Return the prompt of `parts`, the first of which is the case."""
        code = self._redact(code_by_file(parts[1:], self._places))
        prompt = render(family, form, lead=lead, code=code, case=parts[0])
        if not lead:
            return prompt
        return replace(prompt, stop=(*SENTENCE_ENDS, *prompt.stop))

    def names_what_was_seen(self, text: str) -> bool:
        """Return whether an answer names code that is shown, or a value that was seen."""
        words = set(_NAME.findall(" ".join(self.parts[1:]))) - _COMMON_WORDS
        values = set(_VALUE.findall(self.parts[0]))
        return not words.isdisjoint(_NAME.findall(text)) or not values.isdisjoint(
            _VALUE.findall(text)
        )

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
