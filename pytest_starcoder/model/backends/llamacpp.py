"""A llama.cpp server, by HTTP: the one a user runs, and the one that the embedded engine is.

It counts tokens exactly and tells its window. A control token ends an answer
only if it is also among `preserved_tokens`: otherwise it has no text that a
stop could match.
"""

from __future__ import annotations

import hashlib
import json
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
from pytest_starcoder.model.backends.http import Refused, Server, whole
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> LlamaCpp | None:
    if name != "llamacpp":
        return None
    # A key goes to nobody whom only the repository has named.
    key = "" if "host" in settings.tracked else settings.api_key
    return LlamaCpp(server_url(settings.host or "127.0.0.1:8080", 8080), settings, key)


class LlamaCpp:
    """The llama.cpp server at `url`; which model it has is its own affair.

    `label` is what messages call it, `start` how they say to get it running.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        api_key: str = "",
        *,
        label: str = "llama.cpp",
        start: str = "Start it with `llama-server -m MODEL.gguf`, or set host to where it runs.",
    ) -> None:
        self.label = label
        self.place = url
        self._settings = settings
        self._server = Server(
            url, settings, name=label, start=start, meaning=self._error, api_key=api_key
        )

    def identify(self, deadline: Deadline) -> str:
        """The server tells no digest: the model's path, size, window and vocabulary there stand for it."""
        entry = self._entry(deadline)
        told = json.dumps([self.place, entry.get("id"), entry.get("meta")], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        entry = self._entry(deadline)
        name = one_line(PurePath(str(entry.get("id", ""))).name, 100) or "the loaded model"
        architecture = "starcoder2" if self._reads_sentinels(deadline) else ""
        return Model(name, digest, architecture, self._window(entry, deadline))

    def count(self, text: str, deadline: Deadline) -> int:
        return self._count(text, deadline, add_special=True)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return completions.complete(
            self._server,
            self.body(prompt),
            prompt,
            model,
            deadline,
            on_text,
            meaning=self._error,
            path=completions.path(prompt),
        )

    def version(self, deadline: Deadline) -> str:
        return str(self._server.get("/props", deadline).get("build_info") or "")

    def close(self) -> None:
        """There is nothing to end: no connection outlives its question."""

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """What is posted for `prompt`."""
        asked = completions.body(prompt, self._settings) | {
            "cache_prompt": True,
            "top_k": prompt.top_k,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "preserved_tokens": list(prompt.stop_tokens),
        }
        if prompt.chat:
            # A model that thinks first would spend the whole answer on it.
            asked |= {"chat_template_kwargs": {"enable_thinking": False}}
        # /v1/completions ignores `response_format`, /v1/chat/completions knows this one too.
        return asked | ({"json_schema": prompt.schema} if prompt.schema is not None else {})

    def _entry(self, deadline: Deadline) -> dict[str, Any]:
        entry = completions.first(self._server.get("/v1/models", deadline), "data")
        if not entry:
            raise BadResponse(
                f"{self.place} names no model.", "Start it with `llama-server -m MODEL.gguf`."
            )
        return entry

    def _count(self, text: str, deadline: Deadline, *, add_special: bool) -> int:
        body = {"content": text, "add_special": add_special, "parse_special": True}
        tokens = self._server.post("/tokenize", body, deadline).get("tokens")
        if not isinstance(tokens, list):
            raise BadResponse(
                f"{self.place} does not count tokens as llama.cpp does.", "Update llama.cpp."
            )
        return len(tokens)

    def _window(self, entry: dict[str, Any], deadline: Deadline) -> int:
        """The window of one slot; the list of models knows it too where /props is closed."""
        try:
            props = self._server.get("/props", deadline)
        except (AccessDenied, BadResponse):
            props = {}
        slot, meta = (
            completions.object_in(props, "default_generation_settings"),
            completions.object_in(entry, "meta"),
        )
        window = whole(slot, "n_ctx") or whole(meta, "n_ctx")
        if not window:
            raise BadResponse(f"{self.place} does not tell its window.", "Update llama.cpp.")
        return window

    def _reads_sentinels(self, deadline: Deadline) -> bool:
        """Whether the model's vocabulary is StarCoder2's: nobody else has a token for these two."""
        return self._count("<file_sep><pr_diff_hunk>", deadline, add_special=False) == 2

    def _error(self, refused: Refused) -> StarcoderError:
        error, status = refused.error, refused.status
        if "exceeds the available context" in error or "exceed_context_size" in refused.text:
            return PromptTooLong(
                f"The prompt does not fit the window of the model at {self.place}: {error}.",
                "Send less, or start llama.cpp with a larger --ctx-size.",
            )
        if status in (401, 403):
            return AccessDenied(
                f"{self.label} at {self.place} refuses the key ({refused.told}).",
                "Set STARCODER_API_KEY to the key it was started with (--api-key).",
            )
        if status in (429, 503):
            return RateLimited(
                f"{self.label} at {self.place} is not ready: {error}.",
                "It may still be loading its model: ask again in a moment.",
                retry_after=1.0,
            )
        if status in (404, 405):
            return BadResponse(
                f"{self.place} does not know what llama.cpp knows ({refused.told}).",
                "Is another program listening there? Set host to where llama.cpp runs.",
            )
        return BadResponse(
            f"{self.label} at {self.place} failed ({refused.told}).", "Look into its log."
        )
