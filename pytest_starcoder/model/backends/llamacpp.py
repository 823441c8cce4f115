"""A llama.cpp server over HTTP: one that the user runs, or the embedded engine.

It counts tokens exactly and reports its window. A special token ends an answer only if it is
among `preserved_tokens`: otherwise it has no text that a stop could match.
"""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
)
from pytest_starcoder.model.backends import OnText, completions, hookimpl
from pytest_starcoder.model.backends.http import (
    ErrorReply,
    HttpBackend,
    Server,
    api_key_for_host,
    digest,
    unexpected_reply,
)
from pytest_starcoder.model.fill_tokens import fill_of_vocabulary
from pytest_starcoder.model.json_fields import dict_field, dicts_field, int_field
from pytest_starcoder.model.model_name import is_instruct_name
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> LlamaCpp | None:
    if name != "llamacpp":
        return None
    url = server_url(settings.host or "127.0.0.1:8080", 8080)
    return LlamaCpp(url, settings, api_key_for_host(settings))


class LlamaCpp(HttpBackend):
    """The llama.cpp server at `url`, with whatever model it has loaded.

    Messages call it `label`; `start` is their hint if it does not answer.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        api_key: str = "",
        *,
        label: str = "llama.cpp",
        start: str = "Start it with `llama-server -m MODEL.gguf`, or set host to its address.",
    ) -> None:
        self.label = label
        self.place = url
        self._settings = settings
        self._server = Server(
            url, settings, name=label, start=start, to_error=self._to_error, api_key=api_key
        )

    def identify(self, deadline: Deadline) -> str:
        """Return a digest of the model's path, size, window and vocabulary on the server."""
        entry = self._model_entry(deadline)
        return digest(self.place, entry.get("id"), entry.get("meta"))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        entry = self._model_entry(deadline)
        name = one_line(PurePath(str(entry.get("id", ""))).name, 100) or "the loaded model"
        architecture = "starcoder2" if self._has_starcoder2_tokens(deadline) else ""
        props = self._props(deadline)
        # With --alias, only the path of the file says what the model is.
        file_name = PurePath(str(props.get("model_path", ""))).name
        is_chat = bool(props.get("chat_template")) and is_instruct_name(file_name)
        count = partial(self._count, deadline=deadline, add_special=False)
        fill = fill_of_vocabulary(count, f"{name} {file_name}")
        return Model(name, digest, architecture, self._window(entry, props), is_chat, fill)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._count(text, deadline, add_special=True)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        body = self._request_body(prompt)
        return completions.complete(self._server, body, prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return str(self._server.get("/props", deadline).get("build_info") or "")

    def save_slot(self, file: str, deadline: Deadline) -> None:
        """Save what the server computed for its last prompt, in its folder for this."""
        self._server.post("/slots/0?action=save", {"filename": file}, deadline)

    def restore_slot(self, file: str, deadline: Deadline) -> None:
        self._server.post("/slots/0?action=restore", {"filename": file}, deadline)

    def _request_body(self, prompt: Prompt) -> dict[str, Any]:
        body = completions.request_body(prompt, self._settings) | {
            "cache_prompt": True,
            "top_k": prompt.top_k,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "preserved_tokens": list(prompt.stop_tokens),
        }
        if prompt.chat:
            # A model that thinks first would spend the whole answer on it.
            body["chat_template_kwargs"] = {"enable_thinking": False}
        if prompt.schema is not None:
            # /v1/completions ignores `response_format`; both endpoints know this field.
            body["json_schema"] = prompt.schema
        return body

    def _model_entry(self, deadline: Deadline) -> dict[str, Any]:
        entries = dicts_field(self._server.get("/v1/models", deadline), "data")
        if not entries or not entries[0]:
            raise BadResponse(
                f"{self.place} lists no model.", "Start it with `llama-server -m MODEL.gguf`."
            )
        return entries[0]

    def _count(self, text: str, deadline: Deadline, *, add_special: bool) -> int:
        # Special tokens in the text are counted as such, as the completion reads them.
        body = {"content": text, "add_special": add_special, "parse_special": True}
        tokens = self._server.post("/tokenize", body, deadline).get("tokens")
        if not isinstance(tokens, list):
            raise BadResponse(
                f"{self.place} does not count tokens as llama.cpp does.", "Update llama.cpp."
            )
        return len(tokens)

    def _props(self, deadline: Deadline) -> dict[str, Any]:
        """Return the properties of the server; none if a proxy does not let them through."""
        try:
            return self._server.get("/props", deadline)
        except (AccessDenied, BadResponse):
            return {}

    def _window(self, entry: dict[str, Any], props: dict[str, Any]) -> int:
        """Return the window of one slot, from the list of models if there are no properties."""
        slot = dict_field(props, "default_generation_settings")
        window = int_field(slot, "n_ctx") or int_field(dict_field(entry, "meta"), "n_ctx")
        if not window:
            raise BadResponse(f"{self.place} does not report its window.", "Update llama.cpp.")
        return window

    def _has_starcoder2_tokens(self, deadline: Deadline) -> bool:
        # Only StarCoder2's vocabulary has a token for each of these two.
        return self._count("<file_sep><pr_diff_hunk>", deadline, add_special=False) == 2

    def _to_error(self, reply: ErrorReply) -> StarcoderError:
        error, status = reply.error, reply.status
        if "exceeds the available context" in error or "exceed_context_size" in reply.text:
            return PromptTooLong(
                f"The prompt does not fit the window of the model at {self.place}: {error}.",
                "Send less, or start llama.cpp with a larger --ctx-size.",
            )
        if status in (401, 403):
            return AccessDenied(
                f"{self.label} at {self.place} refuses the key ({reply.summary}).",
                "Set STARCODER_API_KEY to the key it was started with (--api-key).",
            )
        if status in (429, 503):
            return RateLimited(
                f"{self.label} at {self.place} is not ready: {error}.",
                "It may still be loading its model: try again in a moment.",
                retry_after=1.0,
            )
        return unexpected_reply(reply, self.place, self.label)
