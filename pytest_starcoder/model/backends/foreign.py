"""Backends of other packages: their mistakes are told in their names, and end no run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BadResponse, ConfigError, StarcoderError
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.text.display import one_line

Given = TypeVar("Given")

MEMBERS = ("label", "place", "identify", "inspect", "count", "complete", "version", "close")


class Foreign:
    """The backend that the package registered as `name` offers: what it raises is told, what it gives is looked at.

    Raises ConfigError where it is not a backend.
    """

    def __init__(self, name: str, backend: Any) -> None:
        self._name = name
        self._backend = backend
        lacks = [member for member in MEMBERS if not self._given(bool, hasattr, backend, member)]
        if lacks:
            raise ConfigError(
                f"The backend {name!r} has no {', '.join(lacks)}.",
                "Report it to whoever offers it.",
            )

    @property
    def label(self) -> str:
        return self._given(str, getattr, self._backend, "label")

    @property
    def place(self) -> str:
        return self._given(str, getattr, self._backend, "place")

    def identify(self, deadline: Deadline) -> str:
        return self._given(str, self._backend.identify, deadline)

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return self._given(Model, self._backend.inspect, digest, deadline)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._given(int, self._backend.count, text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return self._given(Completion, self._backend.complete, prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        return self._given(str, self._backend.version, deadline)

    def close(self) -> None:
        self._given(object, self._backend.close)

    def _given(self, kind: type[Given], ask: Callable[..., object], *args: object) -> Given:
        try:
            given = ask(*args)
        except StarcoderError:
            raise
        except Exception as exc:
            said = one_line(f"{type(exc).__name__}: {exc}")
            raise BadResponse(
                f"The backend {self._name!r} failed: {said}.", "Report it to whoever offers it."
            ) from exc
        if not isinstance(given, kind):
            raise BadResponse(
                f"The backend {self._name!r} gave a {type(given).__name__}, not a {kind.__name__}.",
                "Report it to whoever offers it.",
            )
        return given
