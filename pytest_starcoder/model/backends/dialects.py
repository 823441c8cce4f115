"""The differences between servers of `/v1/completions`, one small class for each kind.

|                          | vLLM                        | TGI           | any other            |
| ------------------------ | --------------------------- | ------------- | -------------------- |
| name of the model        | as listed                   | `tgi`         | as listed            |
| special tokens as stops  | unless they are skipped     | as text       | if they are written  |
| maximum number of stops  | unlimited                   | 4             | 4                    |
| JSON schema              | `response_format`           | only in chats | not sent             |
| window                   | `max_model_len` in the list | `/info`       | in the list, or 4096 |
| counting tokens          | `/tokenize`                 | no            | no                   |

The sources are vLLM's protocol and TGI 3.3.7. Stops beyond the maximum are found in the answer by
`stops.py`. A llama.cpp server is left to `llamacpp.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import AccessDenied, BadResponse, RateLimited
from pytest_starcoder.model.backends import OnText, completions
from pytest_starcoder.model.backends.http import HttpBackend, Server
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.fill_tokens import fill_of_name
from pytest_starcoder.model.json_fields import int_field
from pytest_starcoder.model.model_name import is_instruct_name
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

SMALLEST_WINDOW = 4096
"""Tokens that a server is assumed to have if it does not say."""

MAX_STOPS = 4
"""Stops that TGI, OpenAI and most other servers accept in one request."""

OVERLOADED = "Model is overloaded"
"""TGI's error within a stream, where others send a status."""

OVERFLOW = re.compile(
    r"maximum context length|maximum model length|exceeds the available context"
    r"|exceed_context_size|context_length_exceeded|must have less than"
    r"|`inputs` tokens \+ `max_new_tokens`|context window",
    re.IGNORECASE,
)
"""Errors of all kinds of servers for a prompt that is too long."""


class Dialect(HttpBackend):
    """A server of an unknown kind; `entry` describes the model in its list of models."""

    label = "the OpenAI-compatible server"
    max_stops: int | None = MAX_STOPS
    completes_instruct = False
    """Whether `/v1/completions` is also there for instruct models."""

    def __init__(self, server: Server, entry: Mapping[str, Any], settings: Settings) -> None:
        self._server = server
        self._entry = entry
        self._settings = settings
        self._name = str(entry.get("id", ""))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        fill = ""
        if self.completes_instruct or not is_instruct_name(self._name):
            fill = fill_of_name(self._name)
        return Model(one_line(self._name), digest, "", self.window(deadline), fill=fill)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        body = completions.request_body(prompt, self._settings, self.max_stops)
        body["model"] = self._name
        body |= self.special_fields(prompt)
        return completions.complete(self._server, body, prompt, model, deadline, on_text)

    def special_fields(self, prompt: Prompt) -> dict[str, Any]:
        """Return the fields of a request that only this kind of server knows."""
        return {}

    def window(self, deadline: Deadline) -> int:
        """Return the tokens that prompt and answer may have together."""
        for key in ("max_model_len", "context_length", "context_window"):
            window = int_field(self._entry, key)
            if window:
                return window
        return SMALLEST_WINDOW


class Vllm(Dialect):
    """vLLM. Its defaults come from the `generation_config.json` of the model."""

    label = "vLLM"
    max_stops = None
    completes_instruct = True

    _can_count = True

    def special_fields(self, prompt: Prompt) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "top_k": prompt.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        if prompt.stop_tokens:
            # Skipped tokens have no text that a stop could match.
            fields["skip_special_tokens"] = False
        if prompt.chat:
            fields["chat_template_kwargs"] = {"enable_thinking": False}
        if prompt.schema is not None:
            schema = {"name": "answer", "schema": prompt.schema}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        return fields

    def count(self, text: str, deadline: Deadline) -> int:
        """Return the exact count, or an estimate if a proxy lets only `/v1` through."""
        if self._can_count:
            try:
                body = {"model": self._name, "prompt": text}
                reply = self._server.post("/tokenize", body, deadline)
            except (AccessDenied, BadResponse):
                self._can_count = False
            else:
                if "count" in reply:
                    return int_field(reply, "count")
        return estimate(text)

    def version(self, deadline: Deadline) -> str:
        return _version(self._server, "/version", deadline)


class Tgi(Dialect):
    """Hugging Face's text-generation-inference."""

    label = "TGI"

    def special_fields(self, prompt: Prompt) -> dict[str, Any]:
        return tgi_fields(prompt, self._settings)

    def window(self, deadline: Deadline) -> int:
        window = int_field(self._server.get("/info", deadline), "max_total_tokens")
        return window or SMALLEST_WINDOW

    def version(self, deadline: Deadline) -> str:
        return _version(self._server, "/info", deadline)


def tgi_fields(prompt: Prompt, settings: Settings) -> dict[str, Any]:
    """Return the fields of a request that TGI needs."""
    fields: dict[str, Any] = {"model": "tgi"}  # any other name would be that of an adapter
    if prompt.temperature_or(settings.temperature) == 0:
        fields["top_p"] = None  # with a top_p it samples even at 0
    if prompt.chat and prompt.schema is not None:
        fields["response_format"] = {"type": "json", "value": prompt.schema}
    return fields


def choose_dialect(entry: Mapping[str, Any]) -> type[Dialect]:
    """Return the kind of server by an entry of its list; TGI's model is its own owner."""
    owner = entry.get("owned_by")
    if owner == "vllm":
        return Vllm
    return Tgi if owner and owner == entry.get("id") else Dialect


def rate_limited(message: str, seconds: float | None, default: float = 1.0) -> RateLimited:
    """Return an error that asks to wait for `seconds`, or `default` if the server does not say."""
    if seconds is None:
        seconds = default
    return RateLimited(message, f"Try again in {seconds:.3g} s.", retry_after=seconds)


def _version(server: Server, path: str, deadline: Deadline) -> str:
    try:
        return str(server.get(path, deadline).get("version") or "")
    except (AccessDenied, BadResponse):
        return ""
