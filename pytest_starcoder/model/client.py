"""The client: the one way to ask a model, with a cache, limits of time and a check of the size."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from pytest_starcoder.deadline import NO_DEADLINE, Deadline
from pytest_starcoder.errors import BackendError, BackendUnavailable, PromptTooLong
from pytest_starcoder.model.backends import Backend, OnText, check_backend, make_backend
from pytest_starcoder.model.backends.choice import choose
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS
from pytest_starcoder.model.cache import Cache
from pytest_starcoder.model.json_fields import Value, from_fields
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings, cache_folder

MAX_ATTEMPTS = 3
"""Number of times that a prompt is sent if the server says that asking again can help."""

MAX_PROMPT_TOKENS = 2900
"""Tokens of a prompt that, with its answer, fits the smallest window that servers give."""

CACHE_FORMAT = 5
"""Version of the fields of Completion and Model in the cache; part of every key."""


class Client:
    """Asks `backend` under `settings`, for one run; not for use from two threads at once.

    Nothing is opened before the first question. Close it, or use it in a `with` statement: the
    embedded engine ends with it.
    """

    def __init__(self, backend: Backend, settings: Settings, cache: Cache | None = None) -> None:
        self.backend = backend
        self.settings = settings
        self.cache = cache or Cache(None)
        self.calls = 0
        self.outage: BackendUnavailable | None = None
        """Why only cached answers are available, or None."""
        self.fallback = ""
        """Why the model of the extra `coder` is used and not Ollama; empty if it is not so."""
        self._model: Model | None = None
        self._session: Deadline | None = None
        self._end = NO_DEADLINE

    @property
    def fallback_note(self) -> str:
        """The sentences for a person about `fallback`; empty if there is none."""
        return f"Ollama was not used. {self.fallback}" if self.fallback else ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Client:
        """Make a client. Raises ConfigError, or BackendUnavailable for the backend none."""
        cache = Cache(None if settings.cache == "off" else cache_folder(settings))
        check_backend(settings)
        choice = choose(settings)
        client = cls(make_backend(choice.settings), choice.settings, cache)
        client.fallback = choice.fallback
        return client

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.backend.close()

    def model(self) -> Model:
        """Return the model; if the server is unavailable, the one that it had last."""
        if self._model is None:
            # Part of the keys on disk: changing it makes every cached model unknown.
            place = ("model at", self.backend.label, self.backend.place, self.settings.model)
            try:
                digest = self.backend.identify(self._deadline())
                self.cache.put(digest, CACHE_FORMAT, *place)
            except BackendUnavailable as exc:
                digest = self.cache.get(CACHE_FORMAT, *place)
                if not isinstance(digest, str):
                    raise
                self.outage = exc
            self._model = self._inspect(digest, *place)
        return self._model

    def count(self, text: str) -> int:
        """Return the tokens of `text`, cached; an upper estimate if the server cannot count."""
        key = (CACHE_FORMAT, "tokens", self.model().digest, text)
        tokens = self.cache.get(*key)
        if not isinstance(tokens, int):
            self._require_server()
            tokens = self.backend.count(text, self._deadline())
            self.cache.put(tokens, *key)
        return tokens

    def fits(self, prompt: Prompt, limit: int | None = None) -> bool:
        """Return whether prompt and answer fit into `limit` tokens and the model's window."""
        window = self.model().window
        available = min(limit or window, window) - prompt.max_tokens
        if prompt.chat:
            available -= CHAT_TEMPLATE_TOKENS
        # A token has at least one byte: the server only counts if it could be close.
        if len(prompt.text.encode("utf-8", "replace")) + 8 <= available:
            return True
        return self.count(prompt.text) <= available

    def complete(self, prompt: Prompt, on_text: OnText | None = None) -> Completion:
        """Return what the model writes after `prompt.text`, cached if it was asked before.

        `on_text` gets the answer piece by piece. Raises a BackendError, or PromptTooLong before
        anything is sent.
        """
        on_text = on_text or (lambda _piece: None)
        model = self.model()
        temperature = self.settings.temperature
        key = (CACHE_FORMAT, "answer", asdict(model), asdict(prompt), temperature)
        cached = _restore(Completion, self.cache.get(*key))
        if cached is not None:
            on_text(cached.text)
            return replace(cached, from_cache=True)
        self._require_server()
        if not self.fits(prompt):
            raise PromptTooLong(
                f"The prompt ({len(prompt.text)} characters) and an answer of "
                f"{prompt.max_tokens} tokens do not fit the {model.window} tokens of {model.name}.",
                "Send less, or use a model or server with a larger window.",
            )
        completion = self._complete_with_retries(prompt, model, on_text)
        # An answer without a count was broken off by the server; it is asked for again.
        if completion.completion_tokens:
            self.cache.put(asdict(completion), *key)
        return completion

    def allow(self, seconds: float) -> None:
        """Limit the time of all further calls together."""
        self._session = Deadline.after(seconds, "session_timeout")

    def end_by(self, deadline: Deadline) -> None:
        """End all further calls at `deadline`, unless another limit is reached first."""
        self._end = deadline

    def spent(self) -> float:
        """Return the seconds that have passed of the time allowed."""
        if self._session is None:
            return 0.0
        return self._session.limit - self._session.remaining()

    def version(self) -> str:
        """Return the server's version; empty if it does not say."""
        return self.backend.version(self._deadline())

    def _complete_with_retries(self, prompt: Prompt, model: Model, on_text: OnText) -> Completion:
        deadline = self._deadline()
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                self.calls += 1
                return self.backend.complete(prompt, model, deadline, on_text)
            except BackendError as exc:
                if exc.retry_after is None or attempt == MAX_ATTEMPTS:
                    raise
                # Many hooks and test runs may wait for the same server.
                pause = exc.retry_after * attempt * (1 + random.random() / 2)
                if pause >= deadline.remaining():
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _deadline(self) -> Deadline:
        """Return the deadline of the next call: its own, or that of the run if it is earlier."""
        if self._session is None:
            self._session = Deadline.after(self.settings.session_timeout, "session_timeout")
        call = Deadline.after(self.settings.timeout)
        # Only the time that other work has left over counts.
        end = Deadline.after(self._end.remaining(), self._end.setting)
        return min(call, self._session, end, key=lambda deadline: deadline.at)

    def _inspect(self, digest: str, *place: str) -> Model:
        """Return the facts about a model; cached by its digest, they take no request."""
        key = (CACHE_FORMAT, digest, *place)
        model = _restore(Model, self.cache.get(*key))
        if model is None:
            self._require_server()
            model = self.backend.inspect(digest, self._deadline())
            self.cache.put(asdict(model), *key)
        return model

    def _require_server(self) -> None:
        if self.outage is not None:
            raise self.outage


def _restore(kind: type[Value], fields: object) -> Value | None:
    """Return the cached value if it is a `kind`; None for anything else."""
    with contextlib.suppress(ValueError):
        return from_fields(kind, fields)
    return None


def fit_prompt(
    render: Callable[[list[str]], Prompt],
    parts: list[str],
    client: Client,
    room: int = MAX_PROMPT_TOKENS,
) -> Prompt:
    """Render as many of `parts` as fit into `room` tokens, while the answer fits the window.

    The most important part comes first. It is always included, with its middle left out if it
    is too long. The answer is limited by the settings.
    """

    def render_limited(chosen: list[str]) -> Prompt:
        return cap_answer(render(chosen), client.settings)

    def fits(prompt: Prompt) -> bool:
        return client.fits(prompt, room + prompt.max_tokens)

    return shorten_to_fit(render_limited, parts, fits)


def shorten_to_fit(
    render: Callable[[list[str]], Prompt], parts: list[str], fits: Callable[[Prompt], bool]
) -> Prompt:
    """Do what `fit_prompt` does, with another measure."""
    for count in range(len(parts), 0, -1):
        prompt = render(parts[:count])
        if fits(prompt):
            return prompt
    first = parts[0]
    # A third of it is left out each time; the beginning and the end say most.
    while len(first) > 200:
        third = len(first) // 3
        first = f"{first[:third]}\n…\n{first[-third:]}"
        prompt = render([first])
        if fits(prompt):
            break
    return prompt


def cap_answer(prompt: Prompt, settings: Settings) -> Prompt:
    """Limit the answer to the tokens that the settings allow."""
    return replace(prompt, max_tokens=min(prompt.max_tokens, settings.max_tokens))
