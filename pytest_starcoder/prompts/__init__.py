"""The documents that models are asked to continue: one folder a family, one text file a form.

A base model completes and does not obey, so every form is the beginning of a
document of a kind that the family was trained on, up to the words that only
the answer can follow.

| family     | trained on                    | ends by text       | ends by control token          |
| ---------- | ----------------------------- | ------------------ | ------------------------------ |
| starcoder2 | issues, pull requests, files  | a new comment      | the next part of the document  |
| completion | whatever; two worked examples | the next example   | none that we know              |

How a backend is told the control tokens is the backend's: llama.cpp needs them
among `preserved_tokens`; Ollama up to 0.24 matches them as text and from 0.30
on not at all, so every form also ends by text and by a number of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from string import Template

from pytest_starcoder.text.sentinels import neutralise
from pytest_starcoder.values import Model, Prompt


@dataclass(frozen=True)
class Form:
    """How an answer starts and ends: `lead` is its first words, which the prompt already says."""

    lead: str
    stop: tuple[str, ...]
    stop_tokens: tuple[str, ...]
    max_tokens: int


FORMS = {
    ("starcoder2", "explain"): Form(
        lead="The test fails because",
        stop=("\nusername_", "\n\n"),
        stop_tokens=("<issue_comment>", "<issue_closed>", "<issue_start>", "<file_sep>", "<|endoftext|>"),
        max_tokens=120,
    ),
    ("completion", "explain"): Form(
        lead="The test fails because", stop=("\n\n", "\nTest:", "\n---"), stop_tokens=(), max_tokens=120
    ),
}


def family(model: Model, chosen: str = "auto") -> str:
    """The family of a model: what its server tells decides, then its name, and `chosen` over both."""
    if chosen != "auto":
        return chosen
    told = f"{model.architecture} {model.name}".lower()
    return "starcoder2" if "starcoder2" in told else "completion"


def render(family: str, form: str, **parts: str) -> Prompt:
    """The prompt of a form with `parts` filled in; sentinels in them are neutralised, those of the form stand."""
    shape = FORMS[family, form]
    template = (files(__name__) / family / f"{form}.txt").read_text("utf-8").removesuffix("\n")
    filled = {name: neutralise(text) for name, text in parts.items()}
    return Prompt(
        Template(template).substitute(filled, lead=shape.lead),
        stop=shape.stop,
        max_tokens=shape.max_tokens,
        stop_tokens=shape.stop_tokens,
    )
