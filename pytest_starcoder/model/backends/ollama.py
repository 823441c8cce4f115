"""Ollama: `/api/generate`, in raw mode so that no template of the server's changes the prompt.

Facts checked against v0.12 to v0.33: too long a prompt is cut silently unless
`truncate` is false (and before v0.12.6 even then); an error after the first
byte is a last line in a 200 stream; an answer without `done` was aborted.
"""

from __future__ import annotations

import re
from contextlib import closing
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
    Untrusted,
)
from pytest_starcoder.model.backends import OnText, hookimpl
from pytest_starcoder.model.backends.http import Refused, Server, mean, whole
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS, estimate
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.text.display import one_line

SMALLEST_WINDOW = 4096
"""Tokens that every version of Ollama gives a model unless told otherwise, on a machine without a large GPU."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Ollama | None:
    return Ollama(settings) if name == "ollama" else None


def _set_host(settings: Settings) -> str:
    """How the address is set: where it stands now, for any other place may lose against it."""
    source = settings.sources.get("host", "OLLAMA_HOST")
    return f"set host ({source})" if ", line " in source else f"set {source}"


class Ollama:
    """The Ollama server at `settings.host`, with the model `settings.model`."""

    label = "Ollama"

    def __init__(self, settings: Settings) -> None:
        self.place = server_url(settings.host or "127.0.0.1:11434")
        self._settings = settings
        self._asked_for = (
            0  # the window that this run had to ask for; a smaller one would reload the model
        )
        self._server = Server(
            self.place,
            settings,
            name=self.label,
            start=f"Start Ollama with `ollama serve`, {_set_host(settings)} to where it runs, "
            "or set STARCODER_MODEL to a .gguf file and do without a server.",
            meaning=self._error,
            # A key goes to nobody whom only the repository has named.
            api_key="" if "host" in settings.tracked else settings.api_key,
        )

    def identify(self, deadline: Deadline) -> str:
        entry = self._entry(deadline)
        host = entry.get("remote_host")
        if host and "model" in self._settings.tracked:
            raise Untrusted(
                f"{self._settings.source('model')}: {self._settings.model!r} is answered by another machine, "
                f"{one_line(str(host), 80)}, and a file that belongs to the repository may not choose that.",
                "Set it with STARCODER_MODEL, a .env that git does not track, or your own config.toml.",
            )
        return str(entry.get("digest", ""))

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        shown = self._server.post("/api/show", {"model": self._settings.model}, deadline)
        found = shown.get("model_info")
        facts = found if isinstance(found, dict) else {}
        architecture = str(facts.get("general.architecture", ""))
        window = whole(facts, f"{architecture}.context_length") or SMALLEST_WINDOW
        template = str(shown.get("template", ""))
        chat = ".Messages" in template or ".System" in template
        return Model(self._settings.model, digest, architecture, window, chat)

    def count(self, text: str, deadline: Deadline) -> int:
        return estimate(text)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        window = self._window(prompt, model, deadline)
        try:
            completion = self._ask(prompt, model, deadline, on_text)
        except PromptTooLong:
            # The server gives less than its default, or the vocabulary is poorer than estimated.
            window = _rounded(
                len(prompt.text.encode("utf-8", "replace")) + prompt.max_tokens, model
            )
            if window <= self._asked_for:
                raise
            self._asked_for = window
            completion = self._ask(prompt, model, deadline, on_text)
        if (
            0 < completion.prompt_tokens < _fewest_tokens(prompt.text)
            or completion.prompt_tokens >= window
        ):
            # A version before v0.12.6 does not know `truncate` and cuts silently.
            raise PromptTooLong(
                f"Ollama read {completion.prompt_tokens} tokens of a prompt of {len(prompt.text)} characters "
                "and cut the rest.",
                "Update Ollama, or start it with a larger OLLAMA_CONTEXT_LENGTH.",
            )
        return completion

    def version(self, deadline: Deadline) -> str:
        return str(self._server.get("/api/version", deadline).get("version") or "")

    def close(self) -> None:
        """There is nothing to end: no connection outlives its question."""

    def _entry(self, deadline: Deadline) -> dict[str, Any]:
        """What the server's list of models says about ours."""
        name = self._settings.model
        wanted = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        models = self._server.get("/api/tags", deadline).get("models")
        if not isinstance(models, list):
            raise BadResponse(
                f"{self.place} lists no models.",
                "Is another program listening there? Set host to where Ollama runs.",
            )
        for entry in models:
            if isinstance(entry, dict) and wanted in (entry.get("name"), entry.get("model")):
                return entry
        raise self._unknown()

    def _window(self, prompt: Prompt, model: Model, deadline: Deadline) -> int:
        """The window for `prompt`: what the model has anyway if that is enough; else it is asked for from now on.

        Ollama is asked what it has only where the smallest that it gives could be too small.
        """
        need = (
            estimate(prompt.text) + prompt.max_tokens + (CHAT_TEMPLATE_TOKENS if prompt.chat else 0)
        )
        have = self._asked_for or min(SMALLEST_WINDOW, model.window)
        if need > have and not self._asked_for:
            have = self._loaded_window(model, deadline) or have
        if need > have:
            have = self._asked_for = _rounded(need, model)
        return have

    def _loaded_window(self, model: Model, deadline: Deadline) -> int:
        """The window that the model is loaded with, 0 where it is not loaded.

        Asking for another one reloads the model under the user's editor.
        """
        loaded = self._server.get("/api/ps", deadline).get("models")
        for entry in loaded if isinstance(loaded, list) else ():
            if isinstance(entry, dict) and entry.get("digest") == model.digest:
                return whole(entry, "context_length")
        return 0

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        options: dict[str, Any] = {
            # All of them, always: the defaults differ between versions.
            "temperature": prompt.temperature_or(self._settings.temperature),
            "seed": prompt.seed,
            "top_p": 0.95,
            "top_k": prompt.top_k,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "num_predict": prompt.max_tokens,
            "stop": [*prompt.stop, *prompt.stop_tokens],
        }
        if self._asked_for:
            options["num_ctx"] = self._asked_for
        body = {
            "model": self._settings.model,
            "prompt": prompt.text,
            "stream": True,
            "truncate": False,
            "options": options,
        }
        # A model that thinks first would spend the whole answer on it.
        body |= {"think": False} if prompt.chat else {"raw": True}
        body |= {"logprobs": True} if prompt.likelihood else {}
        return body | ({"format": prompt.schema} if prompt.schema is not None else {})

    def _ask(self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText) -> Completion:
        pieces: list[str] = []
        likelihoods: list[float] = []
        last: dict[str, Any] = {}
        with closing(self._server.lines("/api/generate", self._body(prompt), deadline)) as lines:
            for line in lines:
                last = self._server.parse(line)
                if "error" in last:
                    raise self._error(Refused(200, line))
                likelihoods += _likelihoods(last)
                piece = last.get("response")
                if isinstance(piece, str) and piece:
                    pieces.append(piece)
                    on_text(piece)
        return Completion(
            "".join(pieces),
            model.name,
            prompt_tokens=whole(last, "prompt_eval_count"),
            completion_tokens=whole(last, "eval_count"),
            # Without `done` the server gave up: it does so silently after 31 equal tokens.
            truncated=last.get("done") is not True or last.get("done_reason") == "length",
            likelihood=mean(likelihoods),
        )

    def _unknown(self) -> UnknownModel:
        name = self._settings.model
        return UnknownModel(
            f"Ollama at {self.place} has no model {name!r}.", f"Fetch it with `ollama pull {name}`."
        )

    def _error(self, refused: Refused) -> StarcoderError:
        """What an error means; the texts are those of v0.12 to v0.33."""
        error, status = refused.error, refused.status
        for pattern, kind, message, hint in _MEANINGS:
            if re.search(pattern, error):
                return kind(message.format(name=self._settings.model, error=error), hint)
        if re.search(r"model .* not found", error):
            return self._unknown()
        if status in (429, 503):
            return RateLimited(
                "Ollama has too many requests waiting.",
                "Ask again in a moment, or start it with a larger OLLAMA_MAX_QUEUE.",
                retry_after=1.0,
            )
        if status == 401:
            return AccessDenied(
                f"Ollama wants you to sign in before it asks {self._settings.model!r} ({refused.told}).",
                "Sign in with `ollama signin`, set STARCODER_API_KEY where a key guards the server, "
                "or choose a model that runs on this machine.",
            )
        if status == 403:
            return AccessDenied(
                f"Ollama at {self.place} refuses: {error or 'it does not serve that host name'}.",
                "Set host to 127.0.0.1, or start Ollama with an OLLAMA_HOST that other names may use.",
            )
        if status in (404, 405):
            return BadResponse(
                f"{self.place} does not know what Ollama knows ({refused.told}).",
                "Is another program listening there? Set host to where Ollama runs.",
            )
        return BadResponse(f"Ollama at {self.place} failed ({refused.told}).", "Look into its log.")


_Kind = (
    type[BackendUnavailable]
    | type[BadResponse]
    | type[AccessDenied]
    | type[PromptTooLong]
    | type[UnknownModel]
)

_MEANINGS: tuple[tuple[str, _Kind, str, str], ...] = (
    (
        r"input length exceeds|longer than the context|exceeds the available context|exceed_context_size",
        PromptTooLong,
        "The prompt does not fit the window of {name!r} on Ollama: {error}.",
        "Send less, or start Ollama with a larger OLLAMA_CONTEXT_LENGTH.",
    ),
    (
        r"does not support generate$",
        UnknownModel,
        "The model {name!r} on Ollama writes no text.",
        "Choose one that does: `ollama pull starcoder2:7b`.",
    ),
    (
        r"does not support (insert|thinking)$|^raw mode does not support|^missing request body",
        BadResponse,
        "Ollama does not do what it was asked with {name!r}: {error}.",
        "Please report this as a bug of pytest-starcoder, with the model's name.",
    ),
    (
        r"^invalid format|invalid JSON schema",
        BadResponse,
        "Ollama refuses the schema of the answer: {error}.",
        "Please report this as a bug of pytest-starcoder, with Ollama's version.",
    ),
    (
        r"^option .* must be of type",
        BadResponse,
        "Ollama refuses an option: {error}.",
        "Please report this as a bug of pytest-starcoder, with Ollama's version.",
    ),
    (
        r"process has terminated|unexpectedly stopped|incompatible with your version|requires more system memory"
        r"|unable to load model|error loading model|timed out waiting for",
        BackendUnavailable,
        "Ollama cannot load {name!r}: {error}.",
        "Free memory, use a smaller model such as starcoder2:3b, or update Ollama; its log says more.",
    ),
    (
        r"^request canceled",
        BadResponse,
        "Ollama says that the request was cancelled.",
        "Ask again.",
    ),
)
"""Pattern of Ollama's text, our error, its message and its next step."""


def _likelihoods(chunk: dict[str, Any]) -> list[float]:
    """The logarithms of the probabilities of a chunk's tokens; v0.12.11 and later tell them."""
    told = chunk.get("logprobs")
    entries = told if isinstance(told, list) else []
    numbers = (entry.get("logprob") for entry in entries if isinstance(entry, dict))
    return [number for number in numbers if isinstance(number, int | float)]


def _fewest_tokens(text: str) -> int:
    """No vocabulary has tokens that span two words; some words may be neither."""
    return len(text.split()) * 9 // 10


def _rounded(need: int, model: Model) -> int:
    """`need` tokens rounded up, so that prompts of about the same size do not reload the model, within its window."""
    return min(-(-need // 1024) * 1024, model.window)
