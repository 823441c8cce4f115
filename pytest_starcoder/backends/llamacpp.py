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

from pytest_starcoder.backends import OnText, OnWait, hookimpl
from pytest_starcoder.backends.http import Refused, Server
from pytest_starcoder.errors import AccessDenied, BadResponse, PromptTooLong, RateLimited, StarcoderError
from pytest_starcoder.settings import Settings, server_url
from pytest_starcoder.text.display import one_line
from pytest_starcoder.values import Completion, Deadline, Model, Prompt


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> LlamaCpp | None:
    if name != "llamacpp":
        return None
    # A key goes to nobody whom only the repository has named.
    key = "" if "host" in settings.tracked else settings.api_key
    return LlamaCpp(server_url(settings.host or "127.0.0.1:8080", 8080), settings, key)


class LlamaCpp:
    """The llama.cpp server at `url`; which model it has is its own affair."""

    label = "llama.cpp"

    def __init__(self, url: str, settings: Settings, api_key: str = "") -> None:
        self.place = url
        self._settings = settings
        self._server = Server(
            url,
            settings,
            name=self.label,
            start="Start it with `llama-server -m MODEL.gguf`, or set host to where it runs.",
            api_key=api_key,
        )

    def identify(self, deadline: Deadline) -> str:
        return _digest(self._entry(deadline))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        entry = self._entry(deadline)
        name = PurePath(str(entry.get("id", ""))).name or "the loaded model"
        architecture = "starcoder2" if self._reads_sentinels(deadline) else ""
        return Model(name, digest, architecture, self._window(entry, deadline))

    def count(self, text: str, deadline: Deadline) -> int:
        body = {"content": text, "add_special": True, "parse_special": True}
        tokens = self._call("/tokenize", body, deadline).get("tokens")
        if not isinstance(tokens, list):
            raise BadResponse(f"{self.place} does not count tokens as llama.cpp does.", "Update llama.cpp.")
        return len(tokens)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText, on_wait: OnWait | None
    ) -> Completion:
        pieces: list[str] = []
        usage: dict[str, Any] = {}
        finish = None
        try:
            for line in self._server.lines("/v1/completions", self.body(prompt), deadline, on_wait):
                event = self._event(line)
                if event is None:
                    continue
                usage = event.get("usage") or usage
                choice = (event.get("choices") or [{}])[0]
                finish = choice.get("finish_reason") or finish
                piece = choice.get("text")
                if isinstance(piece, str) and piece:
                    pieces.append(piece)
                    on_text(piece)
        except Refused as refused:
            raise self._error(refused) from refused
        return Completion(
            "".join(pieces),
            model.name,
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            completion_tokens=int(usage.get("completion_tokens", 0)),
            cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)),
            truncated=finish != "stop",
        )

    def version(self, deadline: Deadline) -> str:
        return str(self._call("/props", None, deadline).get("build_info", ""))

    def close(self) -> None:
        self._server.close()

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """What is posted for `prompt`."""
        body: dict[str, Any] = {
            "prompt": prompt.text,
            "stream": True,
            "cache_prompt": True,
            "max_tokens": prompt.max_tokens,
            # All of them, always: the defaults differ between versions.
            "temperature": self._settings.temperature,
            "seed": 1,
            "top_p": 0.95,
            "top_k": 40,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "stop": [*prompt.stop, *prompt.stop_tokens],
            "preserved_tokens": list(prompt.stop_tokens),
        }
        return body | ({"json_schema": prompt.schema} if prompt.schema is not None else {})

    def _entry(self, deadline: Deadline) -> dict[str, Any]:
        listed = self._call("/v1/models", None, deadline).get("data")
        if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
            raise BadResponse(f"{self.place} names no model.", "Start it with `llama-server -m MODEL.gguf`.")
        return listed[0]

    def _window(self, entry: dict[str, Any], deadline: Deadline) -> int:
        """The window of one slot; the list of models knows it too where /props is closed."""
        try:
            window = self._call("/props", None, deadline).get("default_generation_settings", {}).get("n_ctx")
        except StarcoderError:
            window = None
        if not isinstance(window, int):
            window = (entry.get("meta") or {}).get("n_ctx")
        if not isinstance(window, int):
            raise BadResponse(f"{self.place} does not tell its window.", "Update llama.cpp.")
        return window

    def _reads_sentinels(self, deadline: Deadline) -> bool:
        """Whether the model's vocabulary is StarCoder2's: nobody else has a token for these two."""
        return self.count("<file_sep><pr_diff_hunk>", deadline) - self.count("", deadline) == 2

    def _event(self, line: str) -> dict[str, Any] | None:
        """The object of one server-sent event, or None for what carries none."""
        if line.startswith((":", "event:", "id:", "retry:")):
            return None
        text = line.removeprefix("data:").removeprefix("error:").strip()
        if text == "[DONE]":
            return None
        event = self._server.parse(text)
        if "error" in event or line.startswith("error:"):
            raise Refused(200, text, {})
        return event

    def _call(self, path: str, body: dict[str, Any] | None, deadline: Deadline) -> dict[str, Any]:
        try:
            return self._server.get(path, deadline) if body is None else self._server.post(path, body, deadline)
        except Refused as refused:
            raise self._error(refused) from refused

    def _error(self, refused: Refused) -> StarcoderError:
        error, status = refused.error, refused.status
        if "exceeds the available context" in error or "exceed_context_size" in refused.text:
            return PromptTooLong(
                f"The prompt does not fit the window of the model at {self.place}: {error}.",
                "Send less, or start llama.cpp with a larger --ctx-size.",
            )
        if status in (401, 403):
            return AccessDenied(
                f"llama.cpp at {self.place} refuses the key ({status}: {error}).",
                "Set STARCODER_API_KEY to the key it was started with (--api-key).",
            )
        if status in (429, 503):
            return RateLimited(
                f"llama.cpp at {self.place} is not ready: {one_line(error)}.",
                "It may still be loading its model: ask again in a moment.",
                retry_after=1.0,
            )
        if status in (404, 405):
            return BadResponse(
                f"{self.place} does not know what llama.cpp knows ({status}: {error}).",
                "Is another program listening there? Set host to where llama.cpp runs.",
            )
        return BadResponse(f"llama.cpp at {self.place} failed ({status}): {error}.", "Look into its log.")


def _digest(entry: dict[str, Any]) -> str:
    """The server tells no digest: the model's path, size, window and vocabulary stand for it."""
    told = {key: entry.get(key) for key in ("id", "meta")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
