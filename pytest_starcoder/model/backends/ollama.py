"""Ollama's `/api/generate`, in raw mode so that no template of the server changes the prompt.

Checked with v0.12 to v0.33. A prompt that is too long is cut silently unless `truncate` is false,
and before v0.12.6 even then. An error after the first byte is a last line in a stream with status
200. An answer without `done` was aborted.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendError,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
    UnknownModel,
    Untrusted,
)
from pytest_starcoder.model.backends import OnText, hookimpl
from pytest_starcoder.model.backends.completions import mean_or_none
from pytest_starcoder.model.backends.http import (
    ErrorReply,
    HttpBackend,
    Server,
    api_key_for_host,
    unexpected_reply,
)
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS, estimate
from pytest_starcoder.model.fill_tokens import fill_of_name, fill_of_template
from pytest_starcoder.model.json_fields import dict_field, dicts_field, int_field
from pytest_starcoder.model.model_name import is_base_name, is_instruct_name
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

SMALLEST_WINDOW = 4096
"""Tokens that every version gives a model by default on a machine without a large GPU."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Ollama | None:
    return Ollama(settings) if name == "ollama" else None


class Ollama(HttpBackend):
    """The Ollama server at `settings.host`, with the model `settings.model`."""

    label = "Ollama"

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host or "127.0.0.1:11434")
        self._settings = settings
        # The window that this run had to request. Requesting another one reloads the model.
        self._requested_window = 0
        self._server = Server(
            self.place,
            settings,
            name=self.label,
            start=f"Start Ollama with `ollama serve`, {_set_host(settings)} to its address, "
            "or set STARCODER_MODEL to a .gguf file, which needs no server.",
            to_error=self._to_error,
            api_key=api_key_for_host(settings),
        )

    def identify(self, deadline: Deadline) -> str:
        entry = self._model_entry(deadline)
        host = entry.get("remote_host")
        if host and "model" in self._settings.tracked:
            raise Untrusted(
                f"{self._settings.source('model')}: {self._settings.model!r} is answered by "
                f"another machine, {one_line(str(host), 80)}, and a file tracked by git "
                "may not choose that.",
                "Set it with STARCODER_MODEL, a .env that git does not track, or your own "
                "config.toml.",
            )
        return str(entry.get("digest", ""))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        body = {"model": self._settings.model}
        description = self._server.post("/api/show", body, deadline)
        facts = dict_field(description, "model_info")
        architecture = str(facts.get("general.architecture", ""))
        window = int_field(facts, f"{architecture}.context_length") or SMALLEST_WINDOW
        template = str(description.get("template", ""))
        # An imported GGUF file brings its own words; most models of the library have none.
        finetune = str(facts.get("general.finetune", ""))
        chat = ".Messages" in template or ".System" in template
        if is_instruct_name(finetune):
            chat = template.replace(" ", "") not in ("", "{{.Prompt}}")
        elif is_base_name(finetune):
            chat = False
        name = self._settings.model
        fill = fill_of_template(template, architecture) or fill_of_name(name)
        return Model(name, digest, architecture, window, chat, fill)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        window = self._window(prompt, model, deadline)
        try:
            completion = self._generate(prompt, model, deadline, on_text)
        except PromptTooLong:
            # The server has less than its default, or the model's vocabulary is smaller than
            # estimated: one token per byte is always enough.
            tokens = len(prompt.text.encode("utf-8", "replace")) + prompt.max_tokens
            window = _rounded_window(tokens, model)
            if window <= self._requested_window:
                raise
            self._requested_window = window
            completion = self._generate(prompt, model, deadline, on_text)
        # Versions before v0.12.6 do not know `truncate` and cut silently. No vocabulary has
        # tokens that span two words, apart from a few words that are no words.
        fewest_tokens = len(prompt.text.split()) * 9 // 10
        was_cut = 0 < completion.prompt_tokens < fewest_tokens
        if was_cut or completion.prompt_tokens >= window:
            raise PromptTooLong(
                f"Ollama read {completion.prompt_tokens} tokens of a prompt of "
                f"{len(prompt.text)} characters and cut the rest.",
                "Update Ollama, or start it with a larger OLLAMA_CONTEXT_LENGTH.",
            )
        return completion

    def version(self, deadline: Deadline) -> str:
        return str(self._server.get("/api/version", deadline).get("version") or "")

    def list_models(self, deadline: Deadline) -> list[tuple[str, int]]:
        """Return the models that the server has, with their sizes in bytes."""
        entries = dicts_field(self._server.get("/api/tags", deadline), "models")
        return [(one_line(str(entry.get("name"))), int_field(entry, "size")) for entry in entries]

    def _model_entry(self, deadline: Deadline) -> dict[str, Any]:
        """Return what the server's list of models says about the chosen model."""
        name = self._settings.model
        full_name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        reply = self._server.get("/api/tags", deadline)
        if not isinstance(reply.get("models"), list):
            raise BadResponse(
                f"{self.place} lists no models.",
                "Is another program listening there? Set host to where Ollama runs.",
            )
        for entry in dicts_field(reply, "models"):
            if full_name in (entry.get("name"), entry.get("model")):
                return entry
        raise self._unknown_model()

    def _window(self, prompt: Prompt, model: Model, deadline: Deadline) -> int:
        """Return the window for `prompt`; the model's current one is left alone if possible.

        Ollama is asked for it only if the smallest one may not be enough.
        """
        needed = estimate(prompt.text) + prompt.max_tokens
        if prompt.chat:
            needed += CHAT_TEMPLATE_TOKENS
        window = self._requested_window or min(SMALLEST_WINDOW, model.window)
        if needed > window and not self._requested_window:
            window = self._loaded_window(model, deadline) or window
        if needed > window:
            window = self._requested_window = _rounded_window(needed, model)
        return window

    def _loaded_window(self, model: Model, deadline: Deadline) -> int:
        """Return the window that the model is loaded with; 0 if it is not loaded.

        Requesting another one would reload the model while the user's editor uses it.
        """
        for entry in dicts_field(self._server.get("/api/ps", deadline), "models"):
            if entry.get("digest") == model.digest:
                return int_field(entry, "context_length")
        return 0

    def _request_body(self, prompt: Prompt) -> dict[str, Any]:
        options: dict[str, Any] = {
            # Always sent: the defaults differ between versions.
            "temperature": prompt.temperature_or(self._settings.temperature),
            "seed": prompt.seed,
            "top_p": 0.95,
            "top_k": prompt.top_k,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "num_predict": prompt.max_tokens,
            "stop": [*prompt.stop, *prompt.stop_tokens],
        }
        if self._requested_window:
            options["num_ctx"] = self._requested_window
        body: dict[str, Any] = {
            "model": self._settings.model,
            "prompt": prompt.text,
            "stream": True,
            "truncate": False,
            "options": options,
        }
        if prompt.chat:
            # A model that thinks first would spend the whole answer on it.
            body["think"] = False
        else:
            body["raw"] = True
        if prompt.likelihood:
            body["logprobs"] = True
        if prompt.schema is not None:
            body["format"] = prompt.schema
        return body

    def _generate(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        pieces: list[str] = []
        logprobs: list[float] = []
        last: dict[str, Any] = {}
        body = self._request_body(prompt)
        with closing(self._server.lines("/api/generate", body, deadline)) as lines:
            for line in lines:
                last = self._server.parse(line)
                if "error" in last:
                    raise self._to_error(ErrorReply(200, line))
                # Since v0.12.11; older versions do not send them.
                for entry in dicts_field(last, "logprobs"):
                    logprob = entry.get("logprob")
                    if isinstance(logprob, int | float):
                        logprobs.append(logprob)
                piece = last.get("response")
                if isinstance(piece, str) and piece:
                    pieces.append(piece)
                    on_text(piece)
        # Without `done` the server gave up, as it does after 31 equal tokens.
        was_aborted = last.get("done") is not True
        return Completion(
            "".join(pieces),
            model.name,
            prompt_tokens=int_field(last, "prompt_eval_count"),
            completion_tokens=int_field(last, "eval_count"),
            truncated=was_aborted or last.get("done_reason") == "length",
            likelihood=mean_or_none(logprobs),
        )

    def _unknown_model(self) -> UnknownModel:
        name = self._settings.model
        return UnknownModel(
            f"Ollama at {self.place} has no model {name!r}.", f"Fetch it with `ollama pull {name}`."
        )

    def _to_error(self, reply: ErrorReply) -> StarcoderError:
        error, status = reply.error, reply.status
        for pattern, kind, message, hint in _ERRORS:
            if re.search(pattern, error):
                return kind(message.format(name=self._settings.model, error=error), hint)
        if re.search(r"model .* not found", error):
            return self._unknown_model()
        if status in (429, 503):
            return RateLimited(
                "Ollama has too many requests waiting.",
                "Try again in a moment, or start it with a larger OLLAMA_MAX_QUEUE.",
                retry_after=1.0,
            )
        if status == 401:
            return AccessDenied(
                f"Ollama requires you to sign in for {self._settings.model!r} ({reply.summary}).",
                "Sign in with `ollama signin`, set STARCODER_API_KEY if the server needs a key, "
                "or choose a model that runs on this machine.",
            )
        if status == 403:
            return AccessDenied(
                f"Ollama at {self.place} refuses: {error or 'it does not serve that host name'}.",
                "Set host to 127.0.0.1, or start Ollama with an OLLAMA_HOST that accepts other "
                "names.",
            )
        return unexpected_reply(reply, self.place, self.label)


_REPORT_MODEL = "Please report this as a bug of pytest-starcoder, with the model's name."
_REPORT_VERSION = "Please report this as a bug of pytest-starcoder, with Ollama's version."

_ERRORS: tuple[tuple[str, type[BackendError] | type[PromptTooLong], str, str], ...] = (
    (
        r"input length exceeds|longer than the context|exceeds the available context"
        r"|exceed_context_size",
        PromptTooLong,
        "The prompt does not fit the window of {name!r} on Ollama: {error}.",
        "Send less, or start Ollama with a larger OLLAMA_CONTEXT_LENGTH.",
    ),
    (
        r"does not support generate$",
        UnknownModel,
        "The model {name!r} on Ollama does not generate text.",
        "Choose one that does: `ollama pull starcoder2:7b`.",
    ),
    (
        r"does not support (insert|thinking)$|^raw mode does not support|^missing request body",
        BadResponse,
        "Ollama does not support the request for {name!r}: {error}.",
        _REPORT_MODEL,
    ),
    (
        r"^invalid format|invalid JSON schema",
        BadResponse,
        "Ollama refuses the schema of the answer: {error}.",
        _REPORT_VERSION,
    ),
    (
        r"^option .* must be of type",
        BadResponse,
        "Ollama refuses an option: {error}.",
        _REPORT_VERSION,
    ),
    (
        r"process has terminated|unexpectedly stopped|incompatible with your version"
        r"|requires more system memory|unable to load model|error loading model"
        r"|timed out waiting for",
        BackendUnavailable,
        "Ollama cannot load {name!r}: {error}.",
        "Free memory, use a smaller model such as starcoder2:3b, or update Ollama; "
        "its log says more.",
    ),
    (
        r"^request canceled",
        BadResponse,
        "Ollama says that the request was canceled.",
        "Ask again.",
    ),
)
"""Pattern of Ollama's text in v0.12 to v0.33, our error, its message and its hint."""


def _set_host(settings: Settings) -> str:
    """Return how to set the address: where it is set now, since other places may not win."""
    source = settings.sources.get("host", "OLLAMA_HOST")
    return f"set host ({source})" if ", line " in source else f"set {source}"


def _rounded_window(tokens: int, model: Model) -> int:
    """Round up, so that prompts of about the same size do not reload the model."""
    return min(-(-tokens // 1024) * 1024, model.window)
