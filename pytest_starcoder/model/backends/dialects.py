"""What the servers of `/v1/completions` want each in its own way: one small class a kind, found by its list of models.

|                       | vLLM                        | TGI            | another              |
| --------------------- | --------------------------- | -------------- | -------------------- |
| the model's name      | as it is listed             | `tgi`          | as it is listed      |
| a control token stops | unless it is left out       | as text        | if it is written     |
| stops at the most     | any number                  | 4              | 4                    |
| a schema              | `response_format`           | in chats alone | not sent             |
| the window            | `max_model_len` in the list | `/info`        | in the list, or 4096 |
| counts tokens         | `/tokenize`                 | no             | no                   |

A llama.cpp server is asked by the backend of its own. Read in vLLM's protocol
and TGI 3.3.7; of more stops than a server takes the others are found here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import AccessDenied, BadResponse, StarcoderError
from pytest_starcoder.model.backends import OnText, completions
from pytest_starcoder.model.backends.http import Refused, Server, whole
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

SMALLEST_WINDOW = 4096
"""Tokens that a server which tells no window is taken to have."""


class Dialect:
    """A server of which nothing is known but that it completes; `entry` is what its list says of the model."""

    label = "the OpenAI-compatible server"
    stops: int | None = 4
    """The stops that one request may have at the most."""

    def __init__(
        self,
        server: Server,
        entry: Mapping[str, Any],
        settings: Settings,
        meaning: Callable[[Refused], StarcoderError],
    ) -> None:
        self._server = server
        self._entry = entry
        self._settings = settings
        self._meaning = meaning
        self._name = str(entry.get("id", ""))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model(one_line(self._name), digest, "", self.window(deadline))

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        asked = {
            "model": self._name,
            **completions.body(prompt, self._settings, self.stops),
            **self.fields(prompt),
        }
        where = completions.path(prompt)
        return completions.complete(
            self._server, asked, prompt, model, deadline, on_text, meaning=self._meaning, path=where
        )

    def count(self, text: str, deadline: Deadline) -> int:
        """The tokens of `text`, rather too many."""
        return estimate(text)

    def version(self, deadline: Deadline) -> str:
        """The server's version, empty where it does not tell."""
        return ""

    def fields(self, prompt: Prompt) -> dict[str, Any]:
        """What a request has besides what all servers know."""
        return {}

    def window(self, deadline: Deadline) -> int:
        """Tokens of prompt and answer together."""
        told = (
            whole(self._entry, key) for key in ("max_model_len", "context_length", "context_window")
        )
        return next(filter(None, told), SMALLEST_WINDOW)


class Vllm(Dialect):
    """vLLM, which counts and constrains, and whose defaults come from the model's own `generation_config.json`."""

    label = "vLLM"
    stops = None

    _counts = True

    def fields(self, prompt: Prompt) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "top_k": prompt.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        if prompt.stop_tokens:
            asked["skip_special_tokens"] = (
                False  # left out, they have no text that a stop could match
            )
        if prompt.chat:
            asked["chat_template_kwargs"] = {"enable_thinking": False}
        if prompt.schema is not None:
            named = {"name": "answer", "schema": prompt.schema}
            asked["response_format"] = {"type": "json_schema", "json_schema": named}
        return asked

    def count(self, text: str, deadline: Deadline) -> int:
        """Exactly; by estimate where something before the server lets `/v1` through alone."""
        if self._counts:
            try:
                counted = self._server.post(
                    "/tokenize", {"model": self._name, "prompt": text}, deadline
                )
            except (AccessDenied, BadResponse):
                self._counts = False
            else:
                if "count" in counted:
                    return whole(counted, "count")
        return estimate(text)

    def version(self, deadline: Deadline) -> str:
        return _told(self._server, "/version", deadline)


class Tgi(Dialect):
    """Hugging Face's text-generation-inference."""

    label = "TGI"

    def fields(self, prompt: Prompt) -> dict[str, Any]:
        return tgi_fields(prompt, self._settings)

    def window(self, deadline: Deadline) -> int:
        return whole(self._server.get("/info", deadline), "max_total_tokens") or SMALLEST_WINDOW

    def version(self, deadline: Deadline) -> str:
        return _told(self._server, "/info", deadline)


def tgi_fields(prompt: Prompt, settings: Settings) -> dict[str, Any]:
    """What TGI wants otherwise than others do."""
    asked: dict[str, Any] = {"model": "tgi"}  # any other name is taken for an adapter's
    if prompt.temperature_or(settings.temperature) == 0:
        asked["top_p"] = None  # with one it samples after all
    if prompt.chat and prompt.schema is not None:
        asked["response_format"] = {"type": "json", "value": prompt.schema}
    return asked


def kind(entry: Mapping[str, Any]) -> type[Dialect]:
    """The kind of the server whose list of models has `entry`; TGI names the model as its own owner."""
    owner = entry.get("owned_by")
    if owner == "vllm":
        return Vllm
    return Tgi if owner and owner == entry.get("id") else Dialect


def _told(server: Server, path: str, deadline: Deadline) -> str:
    try:
        return str(server.get(path, deadline).get("version") or "")
    except (AccessDenied, BadResponse):
        return ""


OVERLOADED = "Model is overloaded"
"""What TGI says where others have a status: its streams have all begun with 200."""

OVERFLOW = re.compile(
    r"maximum context length|maximum model length|exceeds the available context|exceed_context_size"
    r"|context_length_exceeded|must have less than|`inputs` tokens \+ `max_new_tokens`|context window",
    re.IGNORECASE,
)
"""What servers say of a prompt that is too long."""
