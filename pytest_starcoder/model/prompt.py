"""What a model is asked, what it answers, and who it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prompt:
    """What a model is asked to continue.

    `text` is sent to the letter: a sentinel in it *is* a sentinel. `stop` holds
    texts at which the answer ends; those that are control tokens of the model
    stand in `stop_tokens`. `max_tokens` bounds the answer. `schema` is a JSON
    schema that the answer must follow, for servers that can enforce one. With
    `chat` the text is a message instead, around which the server puts the
    template of its chat model. `likelihood` asks how likely the answer was.
    `temperature` stands in the place of the setting. Of several answers to one
    question each has a `seed` of its own; `top_k` is the most words that each
    word is chosen among, 0 for all, at the servers that know it.
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
    """What a model wrote.

    Token counts are the server's; `cached_tokens` of the prompt's needed no work.
    `truncated`: the answer ended because a limit or the server cut it, not
    because the model was done. `from_cache`: no model was asked this time.
    `likelihood` is the mean natural logarithm of its tokens' probabilities, None
    where that was not asked for, or the server does not tell.
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
    """What a server tells about its model.

    `digest` changes whenever the model does. `architecture` is llama.cpp's name
    ("starcoder2", "gemma3", …), empty where the server does not tell. `window`
    is the most tokens that prompt and answer may have together. `chat`: the
    server has a template of messages for it; False also where it does not tell.
    """

    name: str
    digest: str
    architecture: str
    window: int
    chat: bool = False
