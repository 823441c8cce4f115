"""`/v1/completions` and `/v1/chat/completions`: what llama.cpp, vLLM, TGI and Hugging Face's router have in common.

Server-sent events, one JSON object each, until `[DONE]`; a server that does not
stream answers with one such object. Errors after the first byte come as events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.http import Refused, Server, mean, whole
from pytest_starcoder.model.backends.stops import Ending
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

FINISHED = ("stop", "eos", "eos_token", "stop_sequence")
"""Why an answer ended that is whole: OpenAI's word for it, Together's, and the two of TGI's streams."""


SILENT = (":", "event:", "id:", "retry:")
"""How the lines of a stream begin that carry nothing."""


def path(prompt: Prompt, prefix: str = "/v1") -> str:
    """Where `prompt` is posted."""
    return f"{prefix}/chat/completions" if prompt.chat else f"{prefix}/completions"


def body(prompt: Prompt, settings: Settings, stops: int | None = None) -> dict[str, Any]:
    """The fields that all these servers know, at most `stops` of the stops among them."""
    asked: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": prompt.max_tokens,
        # All of them, always: the defaults differ between servers and versions.
        "temperature": prompt.temperature_or(settings.temperature),
        "seed": prompt.seed,
        "top_p": 0.95,
    }
    asked |= (
        {"messages": [{"role": "user", "content": prompt.text}]}
        if prompt.chat
        else {"prompt": prompt.text}
    )
    if prompt.likelihood:
        asked["logprobs"] = True if prompt.chat else 1
    ends = [*prompt.stop, *prompt.stop_tokens][:stops]
    return asked | ({"stop": ends} if ends else {})


def complete(
    server: Server,
    asked: Mapping[str, Any],
    prompt: Prompt,
    model: Model,
    deadline: Deadline,
    on_text: OnText,
    *,
    meaning: Callable[[Refused], StarcoderError],
    path: str,
) -> Completion:
    """What answers `asked` at `path`; `meaning` is for errors within the stream."""
    ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
    usage: dict[str, Any] = {}
    likelihoods: list[float] = []
    finish, pieces = "", 0
    with closing(server.lines(path, asked, deadline)) as lines:
        for line in lines:
            found = event(server, line, meaning)
            if found is None:
                continue
            usage = object_in(found, "usage") or usage
            choice = first(found, "choices")
            finish = choice.get("finish_reason") or finish
            likelihoods += _likelihoods(choice)
            piece = _text(choice)
            if piece:
                pieces += 1
                if ending.add(piece):
                    break  # closing ends the work at the server as well
    text = ending.end()
    return Completion(
        text,
        model.name,
        prompt_tokens=whole(usage, "prompt_tokens"),
        # An answer without its end has no count: it is not one to be remembered.
        completion_tokens=whole(usage, "completion_tokens")
        or (pieces if finish or ending.reached else 0),
        cached_tokens=whole(object_in(usage, "prompt_tokens_details"), "cached_tokens"),
        truncated=not ending.reached and finish not in FINISHED,
        likelihood=mean(likelihoods),
    )


def event(
    server: Server, line: str, meaning: Callable[[Refused], StarcoderError]
) -> dict[str, Any] | None:
    """The object of one server-sent event, or None for a line that carries none; raises for one that is an error."""
    if line.startswith(SILENT):
        return None
    text = line.removeprefix("data:").removeprefix("error:").strip()
    if text == "[DONE]":
        return None
    found = server.parse(text)
    if found.get("error") or found.get("object") == "error" or line.startswith("error:"):
        raise meaning(Refused(200, text))
    return found


def object_in(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`, empty where there is none."""
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def first(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The first object of the list under `key`, empty where there is none."""
    value = body.get(key)
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def _text(choice: dict[str, Any]) -> str:
    """The text of a choice: of a completion, of a message that is streamed, of a whole one."""
    said = object_in(choice, "delta") or object_in(choice, "message")
    piece = choice.get("text") or said.get("content")
    if not isinstance(piece, str):
        return ""
    # TGI's last piece is the control token that ended the answer, as text.
    ended = choice.get("finish_reason") == "eos_token" and re.fullmatch(r"<[^<>\s]+>", piece)
    return "" if ended else piece


def _likelihoods(choice: dict[str, Any]) -> list[float]:
    """The logarithms of the probabilities of a choice's tokens, in the older form or the newer."""
    told = object_in(choice, "logprobs")
    newer = [entry.get("logprob") for entry in told.get("content") or [] if isinstance(entry, dict)]
    return [
        number
        for number in newer or told.get("token_logprobs") or []
        if isinstance(number, int | float)
    ]
