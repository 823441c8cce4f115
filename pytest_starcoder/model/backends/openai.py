"""Any server of `/v1/completions`, such as vLLM or TGI, which often serves a whole team.

The list of models of the server says which model it has and which kind of server it is. Nothing
is sent to OpenAI unless a host is set that is theirs.
"""

from __future__ import annotations

from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends import OnText, hookimpl
from pytest_starcoder.model.backends.dialects import (
    OVERFLOW,
    OVERLOADED,
    Dialect,
    Tgi,
    choose_dialect,
    rate_limited,
)
from pytest_starcoder.model.backends.http import (
    ErrorReply,
    HttpBackend,
    Server,
    api_key_for_host,
    digest,
    unexpected_reply,
)
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.json_fields import dicts_field
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

START = "Start it, for example with `vllm serve bigcode/starcoder2-7b`, or set host to its address."

_IDENTITY_FIELDS = ("id", "owned_by", "root", "parent", "max_model_len", "meta")
"""Fields of the list of models that change with the model; others change all the time."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> OpenAI | None:
    return OpenAI(settings) if name == "openai" else None


class OpenAI(HttpBackend):
    """The server at `settings.host`, with the model `settings.model` or else its only one."""

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host or "127.0.0.1:8000", 8000).removesuffix("/v1")
        self._settings = settings
        self._key = api_key_for_host(settings)
        self._server = Server(
            self.place,
            settings,
            name=Dialect.label,
            start=START,
            to_error=self._to_error,
            api_key=self._key,
        )
        self._dialect: Dialect | LlamaCpp | None = None

    @property
    def label(self) -> str:
        """The kind of the server, once it is known."""
        return (self._dialect or Dialect).label

    def identify(self, deadline: Deadline) -> str:
        """Return a digest of what the list of models says: there is none of the model itself."""
        entry = self._model_entry(deadline)
        if entry.get("owned_by") == "llamacpp":
            self._dialect = LlamaCpp(self.place, self._settings, self._key)
        else:
            self._dialect = choose_dialect(entry)(self._server, entry, self._settings)
        return digest(self.place, *map(entry.get, _IDENTITY_FIELDS))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return self._identified(deadline).inspect(digest, deadline)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._identified(deadline).count(text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return self._identified(deadline).complete(prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return self._identified(deadline).version(deadline)

    def _identified(self, deadline: Deadline) -> Dialect | LlamaCpp:
        """Return the server by its kind, which may take a request."""
        if self._dialect is None:
            self.identify(deadline)
        assert self._dialect is not None
        return self._dialect

    def _model_entry(self, deadline: Deadline) -> dict[str, Any]:
        """Return what the list of models says about the chosen model.

        A server that has only one model answers for any name with that one.
        """
        entries = dicts_field(self._server.get("/v1/models", deadline), "data")
        if not entries:
            raise BadResponse(
                f"{self.place} lists no model.",
                "Load a model on it, or set host to the address of another server.",
            )
        model = self._settings.model
        names = [str(entry.get("id", "")) for entry in entries]
        if model in names:
            return entries[names.index(model)]
        if len(entries) == 1 and (not model or _ignores_names(entries[0])):
            return entries[0]
        # Names come from the server, and there may be hundreds.
        shown_names = [one_line(name, 80) for name in names[:5]]
        if len(names) > 5:
            shown_names.append("…")
        shown = ", ".join(shown_names)
        if not model:
            raise UnknownModel(
                f"{self.place} has {len(names)} models.", f"Set model to one of them: {shown}."
            )
        raise UnknownModel(f"{self.place} has no model {model!r}.", f"It has {shown}.")

    def _to_error(self, reply: ErrorReply) -> StarcoderError:
        error, status = reply.error, reply.status
        server = f"{self.label.replace('the ', 'The ', 1)} at {self.place}"
        if OVERFLOW.search(error):
            return PromptTooLong(
                f"The prompt does not fit the window of the model at {self.place}: {error}.",
                "Send less, or start the server with a larger window (vLLM: --max-model-len).",
            )
        if status in (401, 403):
            verb = "refuses the" if self._key else "requires a"
            return AccessDenied(
                f"{server} {verb} key ({reply.summary}).",
                "Set STARCODER_API_KEY to the key it was started with.",
            )
        # The model may have been unloaded since it was listed.
        if status == 404 and "model" in error.lower():
            return UnknownModel(
                f"{server} does not serve {self._settings.model or 'the model'!r} "
                f"({reply.summary}).",
                f"See what it serves: {self.place}/v1/models.",
            )
        return self._server_error(reply, server)

    def _server_error(self, reply: ErrorReply, server: str) -> StarcoderError:
        """Return the error for a server that is busy, away or of another kind."""
        status = reply.status
        if status in (429, 503) or reply.error == OVERLOADED:
            message = f"{server} is overloaded or still loading ({reply.summary})."
            return rate_limited(message, reply.retry_after)
        # vLLM and TGI do not send these.
        if status in (502, 504):
            return BackendUnavailable(
                f"The proxy in front of {self.place} cannot reach the server ({reply.summary}).",
                START,
            )
        if status in (404, 405):
            return BadResponse(
                f"{self.place} does not answer like an OpenAI-compatible server ({reply.summary}).",
                "Is another program listening there? "
                "Set host to where the server runs, without /v1.",
            )
        return unexpected_reply(reply, self.place, self.label)


def _ignores_names(entry: dict[str, Any]) -> bool:
    return choose_dialect(entry) is Tgi or entry.get("owned_by") == "llamacpp"
