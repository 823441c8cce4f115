"""The Backend protocol, and the choice of the backend that the settings name.

Each kind of model server is one module. Other packages offer theirs through the entry-point
group `starcoder`. A backend knows how its server is asked and what its errors mean; it knows
nothing of prompts, caches or tests.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

import pluggy

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendUnavailable, UnknownBackend
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import BACKENDS, Settings

OnText = Callable[[str], None]
"""Called with each piece of an answer as the model writes it."""

hookspec = pluggy.HookspecMarker("starcoder")
hookimpl = pluggy.HookimplMarker("starcoder")


class Backend(Protocol):
    """One kind of model server. Every method raises a BackendError if the server fails."""

    @property
    def label(self) -> str:
        """The name of the server in messages, such as "Ollama". An attribute is enough."""

    @property
    def place(self) -> str:
        """The URL or the file where the model is."""

    def identify(self, deadline: Deadline) -> str:
        """Return a text that changes whenever the model does, with at most one request."""

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        """Describe the model that `identify` returned `digest` for."""

    def count(self, text: str, deadline: Deadline) -> int:
        """Return the tokens of `text`, or an upper estimate if the server cannot count."""

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        """Continue `prompt.text`; `on_text` is called with each piece as it arrives."""

    def version(self, deadline: Deadline) -> str:
        """Return the server's version; empty if it does not say."""

    def close(self) -> None:
        """Stop what the backend started; it is not used afterwards."""


class Specs:
    """The hooks that a backend's module implements."""

    @hookspec(firstresult=True)
    def starcoder_backend(self, name: str, settings: Settings) -> Backend | None:
        """Return the backend called `name`, or None if this module does not have it."""


def make_backend(settings: Settings) -> Backend:
    """Make the backend that `settings` choose.

    No request is sent yet, unless `choose` has to ask Ollama which models it has.

    Raises UnknownBackend for an unknown name, and BackendUnavailable for `none`.
    """
    from pytest_starcoder.model.backends.choice import choose

    check_backend(settings)
    settings = choose(settings).settings
    name = settings.backend
    if name == "none":
        raise BackendUnavailable(
            "The backend is set to none.",
            "Set backend to auto to use Ollama, or to embedded with model=demo or a .gguf file.",
        )
    if name in BACKENDS:
        # Not through the entry points: reading them takes a look at every installed package.
        module = import_module(f"{__name__}.{name}")
        backend: Backend = module.starcoder_backend(name, settings)
        return backend
    from pytest_starcoder.model.backends.external import make_external_backend

    return make_external_backend(name, settings)


def check_backend(settings: Settings) -> None:
    """Raise UnknownBackend if no backend has the chosen name; none is loaded."""
    name = settings.backend
    if name in BACKENDS:
        return
    import difflib

    from pytest_starcoder.model.backends.external import backend_names

    names = backend_names()
    if name not in names:
        hint = f"There are {', '.join(names)}."
        similar = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        if similar:
            hint = f"The nearest is {similar[0]!r}."
        source = settings.source("backend")
        raise UnknownBackend(f"{source}: there is no backend {name!r}.", hint)
