"""What can be asked: one module a kind of server, found by name through the entry-point group `starcoder`.

A backend knows how its server wants to be asked and what its errors mean, and
nothing of prompts, caches or tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import pluggy

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendUnavailable, ConfigError, StarcoderError, UnknownBackend
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import BACKENDS, Settings
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OnText = Callable[[str], None]
"""Given the answer piece by piece, as the model writes it."""

hookspec = pluggy.HookspecMarker("starcoder")
hookimpl = pluggy.HookimplMarker("starcoder")


class Backend(Protocol):
    """One kind of model server. Every method raises a BackendError for what goes wrong at the server."""

    @property
    def label(self) -> str:
        """What people call it: "Ollama". A plain attribute will do."""

    @property
    def place(self) -> str:
        """Where it is asked: a URL or a file."""

    def identify(self, deadline: Deadline) -> str:
        """A text that changes whenever the model does, for at most one request."""

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        """The model that `identify` gave `digest` for."""

    def count(self, text: str, deadline: Deadline) -> int:
        """The tokens of `text`; too many rather than too few where the server does not count."""

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        """What the model writes after `prompt.text`; `on_text` gets every piece of it as it comes."""

    def version(self, deadline: Deadline) -> str:
        """The server's version, empty where it does not tell."""

    def close(self) -> None:
        """Ends what the backend started; it is not used afterwards."""


class Specs:
    """The hooks that a backend's module implements."""

    @hookspec(firstresult=True)
    def starcoder_backend(self, name: str, settings: Settings) -> Backend | None:
        """The backend called `name`, or None where this module has another."""


def make_backend(settings: Settings) -> Backend:
    """The backend that `settings` choose; nothing is asked yet.

    Raises UnknownBackend where none has that name, and BackendUnavailable for
    `none`: there is no model then.
    """
    check_backend(settings)
    name = settings.backend
    if name == "auto":
        name = "embedded" if is_model_file(settings.model) else "ollama"
    if name == "none":
        raise BackendUnavailable(
            "The setting backend is none.",
            "Set backend to auto to use Ollama, or to embedded with model=demo or a .gguf file.",
        )
    if name in BACKENDS:  # our own are known without a look at everything that is installed
        own: Backend = import_module(f"{__name__}.{name}").starcoder_backend(name, settings)
        return own
    plugins = _load(name)
    try:
        found = plugins.hook.starcoder_backend(name=name, settings=settings)
    except StarcoderError:
        raise
    except Exception as exc:
        raise ConfigError(
            f"The backend {name!r} cannot be made: {type(exc).__name__}: {one_line(str(exc))}.",
            "Report it to whoever offers it.",
        ) from exc
    if found is None:
        raise ConfigError(
            f"The package of the backend {name!r} does not offer it.",
            "Reinstall or remove that package.",
        )
    from pytest_starcoder.model.backends.foreign import Foreign

    return Foreign(name, found)


def check_backend(settings: Settings) -> None:
    """Raises UnknownBackend where no backend has the name that is set; loads none."""
    name = settings.backend
    if name not in BACKENDS and name not in (known := known_backends()):
        import difflib

        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        raise UnknownBackend(
            f"{settings.source('backend')}: there is no backend {name!r}.",
            f"The nearest is {near[0]!r}." if near else f"There are {', '.join(known)}.",
        )


def is_model_file(model: str) -> bool:
    """Whether a model's name means the embedded engine: a GGUF file, another path, or the demo model."""
    return (
        model == "demo"
        or model.lower().endswith(".gguf")
        or model.startswith(("/", "./", "../", "~"))
    )


def known_backends() -> list[str]:
    """Every name that the setting `backend` can have here."""
    return sorted({"auto", "none", *_registered()})


@cache
def _registered() -> Mapping[str, EntryPoint]:
    """Who offers a backend, by its name; looked up once, for it reads what is installed."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group="starcoder")}


def _load(name: str) -> pluggy.PluginManager:
    """A plugin manager with the one module that is registered under `name`."""
    plugins = pluggy.PluginManager("starcoder")
    plugins.add_hookspecs(Specs)
    try:
        plugins.register(_registered()[name].load(), name)
    except StarcoderError:
        raise
    except Exception as exc:
        raise ConfigError(
            f"The backend {name!r} cannot be loaded: {type(exc).__name__}: {one_line(str(exc))}.",
            "Reinstall or remove its package.",
        ) from exc
    return plugins
