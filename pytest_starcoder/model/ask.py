"""`ask`: one question, one answer, for a script or a notebook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.settings import load_settings


class _Default(str):
    """A default that can be told from the same text given by the caller."""

    __slots__ = ()


def ask(prompt: str, model: str = _Default("starcoder2:7b")) -> str:
    """What `model` writes after `prompt`: at most 500 tokens at temperature 0.2, unless settings say otherwise.

    Settings are those of the project around the current folder; a model that
    is named here wins over theirs. Control tokens in `prompt` are made ordinary
    text. Raises a StarcoderError that says what to do next, and never returns
    an empty text.
    """
    settings = load_settings(Path.cwd())
    if not isinstance(model, _Default):
        tracked = settings.tracked - {"model"}
        settings = replace(
            settings, model=model, sources={**settings.sources, "model": "ask()"}, tracked=tracked
        )
    with Client.from_settings(settings) as client:
        return ask_client(client, prompt)


def ask_client(client: Client, prompt: str) -> str:
    """`ask` with a client that is already there."""
    if not isinstance(prompt, str):
        raise TypeError(f"ask wants a text, not {type(prompt).__name__}")
    completion = client.complete(Prompt(neutralize(prompt), max_tokens=client.settings.max_tokens))
    if not completion.text.strip():
        raise UnreadableAnswer(
            f"{completion.model} answered with nothing.",
            "Ask in other words: a base model continues a text.",
        )
    return completion.text
