"""The one way to ask a model: what does not fit is not sent, what was asked is remembered, time is bounded."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendError, BackendUnavailable, PromptTooLong
from pytest_starcoder.model.backends import Backend, OnText, make_backend
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS
from pytest_starcoder.model.cache import Cache
from pytest_starcoder.model.json_fields import Value, from_fields
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings, cache_folder

ATTEMPTS = 3
"""Times one prompt is sent where the server says that asking again can help."""

ROOM = 2900
"""Tokens that a prompt may have: with its answer it fits the smallest window that servers give without reloading."""

FORMAT = 3
"""Of what the cache holds, the fields of Completion and Model; another number makes every entry unknown."""


class Client:
    """Asks `backend` under `settings`, for one run; not for use from two threads at once.

    Nothing is opened before the first question. Close it, or use it in a
    `with` statement: the embedded engine ends with it.
    """

    def __init__(self, backend: Backend, settings: Settings, cache: Cache | None = None) -> None:
        self.backend = backend
        self.settings = settings
        self.cache = cache or Cache(None)
        self.calls = 0
        self.outage: BackendUnavailable | None = None
        """Why only cached answers are available, or None."""
        self._model: Model | None = None
        self._session: Deadline | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Client:
        """The client that `settings` describe; raises ConfigError, or BackendUnavailable for backend none."""
        cache = Cache(None if settings.cache == "off" else cache_folder(settings))
        return cls(make_backend(settings), settings, cache)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.backend.close()

    def model(self) -> Model:
        """The model that is asked; with the server away, the one that was there last."""
        if self._model is None:
            place = ("model at", self.backend.label, self.backend.place, self.settings.model)
            try:
                digest = self.backend.identify(self._deadline())
                self.cache.put(digest, FORMAT, *place)
            except BackendUnavailable as exc:
                digest = self.cache.get(FORMAT, *place)
                if not isinstance(digest, str):
                    raise
                self.outage = exc
            self._model = self._facts(digest, *place)
        return self._model

    def count(self, text: str) -> int:
        """The tokens of `text`, remembered; too many rather than too few where the server does not count."""
        key = (FORMAT, "tokens", self.model().digest, text)
        known = self.cache.get(*key)
        if not isinstance(known, int):
            if self.outage is not None:
                raise self.outage
            known = self.backend.count(text, self._deadline())
            self.cache.put(known, *key)
        return known

    def fits(self, prompt: Prompt, limit: int | None = None) -> bool:
        """Whether prompt and answer fit into `limit` tokens, or else into the model's window."""
        limit = min(limit or self.model().window, self.model().window)
        return self._at_most(
            prompt.text, limit - prompt.max_tokens - (CHAT_TEMPLATE_TOKENS if prompt.chat else 0)
        )

    def complete(self, prompt: Prompt, on_text: OnText | None = None) -> Completion:
        """What the model writes after `prompt.text`, from memory where it was asked before.

        `on_text` gets the answer piece by piece. Raises a BackendError, or
        PromptTooLong before anything is sent.
        """
        say = on_text or (lambda _piece: None)
        model = self.model()
        key = (FORMAT, "answer", asdict(model), asdict(prompt), self.settings.temperature)
        remembered = _restored(Completion, self.cache.get(*key))
        if remembered is not None:
            completion = replace(remembered, from_cache=True)
            say(completion.text)
            return completion
        if self.outage is not None:
            raise self.outage
        if not self.fits(prompt):
            raise PromptTooLong(
                f"The prompt ({len(prompt.text)} characters) and an answer of {prompt.max_tokens} tokens "
                f"do not fit the {model.window} tokens of {model.name}.",
                "Send less, or use a model or server with a larger window.",
            )
        completion = self._ask(prompt, model, say)
        if completion.completion_tokens:  # an answer that the server broke off is asked for anew
            self.cache.put(asdict(completion), *key)
        return completion

    def allow(self, seconds: float) -> None:
        """Gives all further calls together that much time."""
        self._session = Deadline.after(seconds, "session_timeout")

    def spent(self) -> float:
        """Seconds of the time allowed that have passed."""
        return 0.0 if self._session is None else self._session.limit - self._session.remaining()

    def version(self) -> str:
        """The server's version, empty where it does not tell."""
        return self.backend.version(self._deadline())

    def _ask(self, prompt: Prompt, model: Model, say: OnText) -> Completion:
        deadline = self._deadline()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self.calls += 1
                return self.backend.complete(prompt, model, deadline, say)
            except BackendError as exc:
                if exc.retry_after is None or attempt == ATTEMPTS:
                    raise
                pause = exc.retry_after * attempt * (1 + random.random() / 2)
                if pause >= deadline.remaining():
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _deadline(self) -> Deadline:
        """Of the next call: its own time, or what the run has left."""
        if self._session is None:
            self._session = Deadline.after(self.settings.session_timeout, "session_timeout")
        return min(
            Deadline.after(self.settings.timeout), self._session, key=lambda deadline: deadline.at
        )

    def _facts(self, digest: str, *place: str) -> Model:
        """The model's facts, which its digest decides: known, they cost no request."""
        remembered = _restored(Model, self.cache.get(FORMAT, digest, *place))
        if remembered is not None:
            return remembered
        if self.outage is not None:
            raise self.outage
        model = self.backend.inspect(digest, self._deadline())
        self.cache.put(asdict(model), FORMAT, digest, *place)
        return model

    def _at_most(self, text: str, limit: int) -> bool:
        """Whether `text` has at most `limit` tokens; the server counts only where it could be close."""
        if len(text.encode("utf-8", "replace")) + 8 <= limit:  # no token is shorter than a byte
            return True
        return self.count(text) <= limit


def _restored(kind: type[Value], fields: object) -> Value | None:
    """Return the cached value if it is a `kind`; None for anything else."""
    with contextlib.suppress(ValueError):
        return from_fields(kind, fields)
    return None


def fit(
    render: Callable[[list[str]], Prompt], parts: list[str], client: Client, room: int = ROOM
) -> Prompt:
    """The prompt of as many of `parts`, most telling first, as fit into `room` tokens, and its answer into the window.

    An answer has at most the tokens that the settings allow. The first part
    stays in any case, cut in its middle where it is too long by itself.
    """
    return shorten_to_fit(
        lambda kept: cap_answer(render(kept), client.settings),
        parts,
        lambda prompt: client.fits(prompt, room + prompt.max_tokens),
    )


def shorten_to_fit(
    render: Callable[[list[str]], Prompt], parts: list[str], fits: Callable[[Prompt], bool]
) -> Prompt:
    """`fit` by another measure."""
    for count in range(len(parts), 0, -1):
        prompt = render(parts[:count])
        if fits(prompt):
            return prompt
    first = parts[0]
    while len(first) > 200:
        first = first[: len(first) // 3] + "\n…\n" + first[-len(first) // 3 :]
        prompt = render([first])
        if fits(prompt):
            break
    return prompt


def cap_answer(prompt: Prompt, settings: Settings) -> Prompt:
    """`prompt` with an answer of no more tokens than the settings allow."""
    return replace(prompt, max_tokens=min(prompt.max_tokens, settings.max_tokens))
