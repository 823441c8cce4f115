"""Prompts, completions and descriptions of models: the values that backends exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prompt:
    """A text for a model to continue.

    `text` is sent literally: a special token in it *is* a special token. `stop` holds texts at
    which the answer ends; those that are special tokens of the model are in `stop_tokens`.
    `max_tokens` limits the answer. `schema` is a JSON schema for the answer, for servers that
    can enforce one. With `chat`, the text is a message that the server puts into the template
    of its chat model. `likelihood` asks how likely the answer was. `temperature` overrides the
    setting. Several answers to the same question differ in `seed`. `top_k` is the number of
    tokens from which each one is chosen, 0 for all, on servers that know it.
    """

    text: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 500
    schema: Mapping[str, Any] | None = None
    stop_tokens: tuple[str, ...] = ()
    chat: bool = False
    likelihood: bool = False
    temperature: float | None = None
    seed: int = 1
    top_k: int = 40

    def temperature_or(self, setting: float) -> float:
        return setting if self.temperature is None else self.temperature


@dataclass(frozen=True)
class Completion:
    """The answer of a model.

    Token counts are the server's; `cached_tokens` are those of the prompt that it did not have
    to read again. `truncated`: a limit or the server cut the answer off. `from_cache`: the model
    was not asked this time. `likelihood` is the mean natural logarithm of the probabilities of
    its tokens, None if it was not requested or the server does not report it.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    truncated: bool = False
    from_cache: bool = False
    likelihood: float | None = None


@dataclass(frozen=True)
class Model:
    """A server's report about its model.

    `digest` changes whenever the model does. `architecture` is llama.cpp's name ("starcoder2",
    "gemma3", …), empty if the server does not report it. `window` is the maximum number of tokens
    of prompt and answer together. `chat`: the server has a template of messages for the
    model, and nothing says that it is a base model; False also if the server does not report that.
    `fill` is the row of `fill_tokens.py` with the model's tokens, empty if none is known.
    """

    name: str
    digest: str
    architecture: str
    window: int
    chat: bool = False
    fill: str = ""
