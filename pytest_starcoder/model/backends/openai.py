"""Any server of `/v1/completions`: vLLM, TGI, llama.cpp and their kind, which is how many people share one machine.

What listens is told by its list of models: which model, and which kind of
server (`dialects.py`). Nothing is ever sent to OpenAI unless a host says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends import OnText, hookimpl
from pytest_starcoder.model.backends.dialects import OVERFLOW, OVERLOADED, Dialect, Tgi, kind
from pytest_starcoder.model.backends.http import Refused, Server
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

START = (
    "Start it, for example with `vllm serve bigcode/starcoder2-7b`, or set host to where it runs."
)


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> OpenAI | None:
    return OpenAI(settings) if name == "openai" else None


class OpenAI:
    """The server at `settings.host`, with the model `settings.model` or else the one that it has."""

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host or "127.0.0.1:8000", 8000).removesuffix("/v1")
        self._settings = settings
        # A key goes to nobody whom only the repository has named.
        self._key = "" if "host" in settings.tracked else settings.api_key
        self._server = Server(
            self.place,
            settings,
            name=Dialect.label,
            start=START,
            meaning=self._error,
            api_key=self._key,
        )
        self._kind: Dialect | LlamaCpp | None = None

    @property
    def label(self) -> str:
        """What the server is called: by its kind, once that is known."""
        return (self._kind or Dialect).label

    def identify(self, deadline: Deadline) -> str:
        """The server tells no digest: what its list says of the model stands for it."""
        entry = self._entry(deadline)
        if entry.get("owned_by") == "llamacpp":
            self._kind = LlamaCpp(self.place, self._settings, self._key)
        else:
            self._kind = kind(entry)(self._server, entry, self._settings, self._error)
        facts = (
            "id",
            "owned_by",
            "root",
            "parent",
            "max_model_len",
            "meta",
        )  # others differ at every look
        told = json.dumps([self.place, *map(entry.get, facts)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return self._known(deadline).inspect(digest, deadline)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._known(deadline).count(text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return self._known(deadline).complete(prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return self._known(deadline).version(deadline)

    def close(self) -> None:
        """There is nothing to end: no connection outlives its question."""

    def _known(self, deadline: Deadline) -> Dialect | LlamaCpp:
        """The server by its kind, met first where that is not known yet."""
        if self._kind is None:
            self.identify(deadline)
        assert self._kind is not None
        return self._kind

    def _entry(self, deadline: Deadline) -> dict[str, Any]:
        """What the server's list says of the model; of a server that has one whatever it is asked for, of that one."""
        found = self._server.get("/v1/models", deadline).get("data")
        entries = (
            [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        )
        if not entries:
            raise BadResponse(f"{self.place} names no model.", START)
        wanted, names = self._settings.model, [str(entry.get("id", "")) for entry in entries]
        if wanted in names:
            return entries[names.index(wanted)]
        if len(entries) == 1 and (
            not wanted or kind(entries[0]) is Tgi or entries[0].get("owned_by") == "llamacpp"
        ):
            return entries[0]
        shown = ", ".join(one_line(name, 80) for name in names[:5]) + (
            ", …" if len(names) > 5 else ""
        )
        if not wanted:
            raise UnknownModel(
                f"{self.place} has {len(names)} models.", f"Set model to one of them: {shown}."
            )
        raise UnknownModel(f"{self.place} has no model {wanted!r}.", f"It has {shown}.")

    def _error(self, refused: Refused) -> StarcoderError:
        error, status = refused.error, refused.status
        named = f"{self.label.replace('the ', 'The ', 1)} at {self.place}"
        if OVERFLOW.search(error):
            return PromptTooLong(
                f"The prompt does not fit the window of the model at {self.place}: {error}.",
                "Send less, or start the server with a larger window (vLLM: --max-model-len).",
            )
        if status in (401, 403):
            return AccessDenied(
                f"{named} {'refuses the key' if self._key else 'wants a key'} ({refused.told}).",
                "Set STARCODER_API_KEY to the key it was started with.",
            )
        if status == 404 and re.search(r"model", error, re.IGNORECASE):
            return UnknownModel(
                f"{named} does not serve {self._settings.model or 'the model'!r} ({refused.told}).",
                f"See what it serves: {self.place}/v1/models.",
            )
        if status in (404, 405):
            return BadResponse(
                f"{self.place} does not know what an OpenAI-compatible server knows ({refused.told}).",
                "Is another program listening there? Set host to where the server runs, without /v1.",
            )
        if status in (429, 503) or error == OVERLOADED:
            wait = 1.0 if refused.retry_after is None else refused.retry_after
            return RateLimited(
                f"{named} has too much to do, or is still loading ({refused.told}).",
                f"Ask again in {wait:.3g} s.",
                retry_after=wait,
            )
        if status in (502, 504):
            return BackendUnavailable(
                f"What stands before the server at {self.place} cannot reach it ({refused.told}).",
                START,
            )
        return BadResponse(f"{named} failed ({refused.told}).", "Look into its log.")
