"""Backends of other packages: their mistakes are reported in their name and end no run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BadResponse, ConfigError, StarcoderError
from pytest_starcoder.model.backends import Backend, OnText, Specs
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

Result = TypeVar("Result")

MEMBERS = ("label", "place", "identify", "inspect", "count", "complete", "version", "close")

_REINSTALL = "Reinstall or remove its package."
_REPORT = "Report it to the authors of its package."


def make_external_backend(name: str, settings: Settings) -> Backend:
    """Make the backend that another package registered as `name`.

    Raises ConfigError if the package cannot be loaded or does not offer it.
    """
    plugins = pluggy.PluginManager("starcoder")
    plugins.add_hookspecs(Specs)
    # A package that cannot be imported must not end the run: only its own backend is missing.
    try:
        plugins.register(_entry_points()[name].load(), name)
    except StarcoderError:
        raise
    except Exception as exc:
        raise ConfigError(
            f"The backend {name!r} cannot be loaded: {_describe(exc)}.", _REINSTALL
        ) from exc
    try:
        backend = plugins.hook.starcoder_backend(name=name, settings=settings)
    except StarcoderError:
        raise
    except Exception as exc:
        raise ConfigError(
            f"The backend {name!r} cannot be made: {_describe(exc)}.", _REPORT
        ) from exc
    if backend is None:
        raise ConfigError(f"The package of the backend {name!r} does not offer it.", _REINSTALL)
    return ExternalBackend(name, backend)


def backend_names() -> list[str]:
    """Return every name that the setting `backend` may have here."""
    return sorted({"auto", "none", *_entry_points()})


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    """Map names to entry points. Cached, because it reads the metadata of all packages."""
    return {entry.name: entry for entry in entry_points(group="starcoder")}


def _describe(exc: Exception) -> str:
    return one_line(f"{type(exc).__name__}: {exc}")


class ExternalBackend:
    """The backend registered as `name`; what it raises and returns is checked.

    Raises ConfigError if it is not a backend.
    """

    def __init__(self, name: str, backend: Any) -> None:
        self._name = name
        self._backend = backend
        # Reading a property runs code of the package, which may raise.
        missing = [member for member in MEMBERS if not self._call(bool, hasattr, backend, member)]
        if missing:
            raise ConfigError(f"The backend {name!r} has no {', '.join(missing)}.", _REPORT)

    @property
    def label(self) -> str:
        return self._call(str, getattr, self._backend, "label")

    @property
    def place(self) -> str:
        return self._call(str, getattr, self._backend, "place")

    def identify(self, deadline: Deadline) -> str:
        return self._call(str, self._backend.identify, deadline)

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return self._call(Model, self._backend.inspect, digest, deadline)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._call(int, self._backend.count, text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return self._call(Completion, self._backend.complete, prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return self._call(str, self._backend.version, deadline)

    def close(self) -> None:
        self._call(object, self._backend.close)

    def _call(self, kind: type[Result], method: Callable[..., object], *args: object) -> Result:
        try:
            result = method(*args)
        except StarcoderError:
            raise
        except Exception as exc:
            raise BadResponse(
                f"The backend {self._name!r} failed: {_describe(exc)}.", _REPORT
            ) from exc
        if not isinstance(result, kind):
            returned, expected = type(result).__name__, kind.__name__
            raise BadResponse(
                f"The backend {self._name!r} returned a {returned}, not a {expected}.", _REPORT
            )
        return result
