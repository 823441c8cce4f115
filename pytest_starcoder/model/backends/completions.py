"""The API of `/v1/completions` and `/v1/chat/completions`, which many kinds of servers share.

An answer is a stream of server-sent events, one JSON object each, until `[DONE]`; a server that
does not stream sends one such object. Errors after the first byte are events, too.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.backends.http import ErrorReply, Server
from pytest_starcoder.model.backends.stops import Ending
from pytest_starcoder.model.json_fields import dict_field, dicts_field, int_field
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

FINISHED = ("stop", "eos", "eos_token", "stop_sequence")
"""Reasons why a complete answer ended: OpenAI's, Together's, and the two of TGI's streams."""

GO_ON = "Go on after these words, and write nothing else:"
"""Asks for the rest of an answer where the server cannot continue a message."""

SILENT = (":", "event:", "id:", "retry:")
"""Beginnings of the lines of a stream that carry nothing."""


def request_body(
    prompt: Prompt,
    settings: Settings,
    max_stops: int | None = None,
    *,
    continues_messages: bool = False,
) -> dict[str, Any]:
    """Build the fields that all these servers know; `max_stops` limits the stops sent.

    `continues_messages`: the server goes on with a message of the model that is the last one.
    """
    body: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": prompt.max_tokens,
        # Always sent: the defaults differ between servers and versions.
        "temperature": prompt.temperature_or(settings.temperature),
        "seed": prompt.seed,
        "top_p": 0.95,
    }
    if prompt.chat:
        body["messages"] = messages(prompt, continues=continues_messages)
    else:
        body["prompt"] = prompt.text
    if prompt.likelihood:
        # The older API takes a number of alternatives, the newer one a flag.
        body["logprobs"] = prompt.chat or 1
    stops = [*prompt.stop, *prompt.stop_tokens][:max_stops]
    if stops:
        body["stop"] = stops
    return body


def messages(prompt: Prompt, *, continues: bool) -> list[dict[str, str]]:
    """Return the messages of a chat; the lead is the model's own if the server `continues` it."""
    question = {"role": "user", "content": prompt.text}
    if not prompt.lead:
        return [question]
    if continues:
        return [question, {"role": "assistant", "content": prompt.lead}]
    question["content"] += f"\n\n{GO_ON} {prompt.lead}"
    return [question]


def complete(
    server: Server,
    body: Mapping[str, Any],
    prompt: Prompt,
    model: Model,
    deadline: Deadline,
    on_text: OnText,
    prefix: str = "/v1",
) -> Completion:
    """Send `body`, which was made for `prompt`, and read the answer."""
    path = prefix + ("/chat/completions" if prompt.chat else "/completions")
    ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
    echo = _Echo(prompt.lead)
    usage: dict[str, Any] = {}
    logprobs: list[float] = []
    finish = ""
    pieces = 0
    with closing(events(server, path, body, deadline)) as stream:
        for event in stream:
            usage = dict_field(event, "usage") or usage
            choice = next(iter(dicts_field(event, "choices")), {})
            finish = choice.get("finish_reason") or finish
            logprobs += _logprobs(choice)
            piece = _text(choice)
            if not piece:
                continue
            pieces += 1
            piece = echo.remove(piece)
            # Leaving the loop closes the stream, which ends the work at the server.
            if ending.add(piece):
                break
    ending.add(echo.pending)
    text = ending.end()
    # Without a count: the pieces, or 0 if the answer was cut off, so that it is not cached.
    is_complete = finish or ending.reached
    tokens = int_field(usage, "completion_tokens") or (pieces if is_complete else 0)
    prompt_details = dict_field(usage, "prompt_tokens_details")
    return Completion(
        text,
        model.name,
        prompt_tokens=int_field(usage, "prompt_tokens"),
        completion_tokens=tokens,
        cached_tokens=int_field(prompt_details, "cached_tokens"),
        truncated=not ending.reached and finish not in FINISHED,
        likelihood=mean_or_none(logprobs),
    )


class _Echo:
    """Removes the lead from the beginning of an answer: llama.cpp sends it back.

    It may contain a stop, which would end the answer there.
    """

    def __init__(self, lead: str) -> None:
        self._lead = lead
        self.pending = ""
        """What may still turn out to be the lead."""

    def remove(self, piece: str) -> str:
        """Return what is known not to be the lead."""
        if not self._lead:
            return piece
        text = self.pending + piece
        if self._lead.startswith(text) and text != self._lead:
            self.pending = text
            return ""
        text = text.removeprefix(self._lead)
        self._lead = self.pending = ""
        return text


def events(
    server: Server, path: str, body: Mapping[str, Any], deadline: Deadline
) -> Generator[dict[str, Any]]:
    """Yield the objects of a stream of server-sent events."""
    with closing(server.lines(path, body, deadline)) as lines:
        for line in lines:
            event = parse_event(server, line)
            if event is not None:
                yield event


def parse_event(server: Server, line: str) -> dict[str, Any] | None:
    """Parse the object of a server-sent event; None for a line without one.

    Raises the error that an event reports.
    """
    if line.startswith(SILENT):
        return None
    text = line.removeprefix("data:").removeprefix("error:").strip()
    if text == "[DONE]":
        return None
    event = server.parse(text)
    if event.get("error") or event.get("object") == "error" or line.startswith("error:"):
        raise server.to_error(ErrorReply(200, text))
    return event


def mean_or_none(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _text(choice: dict[str, Any]) -> str:
    """Return the text of a choice: of a completion, a streamed message, or a whole one."""
    message = dict_field(choice, "delta") or dict_field(choice, "message")
    text = choice.get("text") or message.get("content")
    if not isinstance(text, str):
        return ""
    # TGI's last piece is the special token that ended the answer, as text.
    if choice.get("finish_reason") == "eos_token" and re.fullmatch(r"<[^<>\s]+>", text):
        return ""
    return text


def _logprobs(choice: dict[str, Any]) -> list[float]:
    """Return the log probabilities of a choice's tokens, in the older or the newer format."""
    logprobs = dict_field(choice, "logprobs")
    numbers = [entry.get("logprob") for entry in dicts_field(logprobs, "content")]
    numbers = numbers or logprobs.get("token_logprobs") or []
    return [number for number in numbers if isinstance(number, int | float)]
