"""`ask`: one question and one answer, for a script or a notebook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.settings import load_settings


class _Default(str):
    """A default value that differs from the same text given by the caller."""

    __slots__ = ()


def ask(prompt: str, model: str = _Default("starcoder2:7b")) -> str:
    """Return what `model` writes after `prompt`.

    Settings are those of the project around the current folder, by default at most 500 tokens at
    temperature 0.2; `model` takes precedence over them. Special tokens in `prompt` become
    ordinary text. Raises a StarcoderError with a hint, also instead of returning an empty text.
    """
    settings = load_settings(Path.cwd())
    if not isinstance(model, _Default):
        sources = {**settings.sources, "model": "ask()"}
        # Chosen by the caller, so it may be a model that another machine answers.
        tracked = settings.tracked - {"model"}
        settings = replace(settings, model=model, sources=sources, tracked=tracked)
    with Client.from_settings(settings) as client:
        return ask_client(client, prompt)


def ask_client(client: Client, prompt: str) -> str:
    """Do what `ask` does, with an existing client."""
    if not isinstance(prompt, str):
        raise TypeError(f"ask needs a text, not {type(prompt).__name__}")
    completion = client.complete(Prompt(neutralize(prompt), max_tokens=client.settings.max_tokens))
    if not completion.text.strip():
        raise UnreadableAnswer(
            f"{completion.model} returned an empty answer.",
            "Reword the prompt: a base model continues text.",
        )
    return completion.text
