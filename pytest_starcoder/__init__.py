"""pytest-starcoder: why a test failed, told by StarCoder on your own machine.

Everything promised to others stands in `__all__`; a name is imported when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would be most of what importing this package costs

if TYPE_CHECKING:
    from typing import Any

    from pytest_starcoder.api import ask
    from pytest_starcoder.backends import Backend, OnText, hookimpl
    from pytest_starcoder.backends.stops import Ending
    from pytest_starcoder.client import Client
    from pytest_starcoder.errors import (
        AccessDenied,
        BackendError,
        BackendTimeout,
        BackendUnavailable,
        BadResponse,
        ConfigError,
        MissingExtra,
        PromptTooLong,
        RateLimited,
        StarcoderError,
        UnknownBackend,
        UnknownModel,
        UnreadableAnswer,
        Untrusted,
    )
    from pytest_starcoder.settings import Settings
    from pytest_starcoder.values.asked import Completion, Deadline, Model, Prompt
    from pytest_starcoder.values.explanation import Explanation, Statement, Suspect
    from pytest_starcoder.values.failure import Failure, Frame
    from pytest_starcoder.values.label import Label
    from pytest_starcoder.values.review import Finding

_HOMES = {
    "ask": "api",
    "Backend": "backends",
    "Client": "client",
    "Completion": "values.asked",
    "Deadline": "values.asked",
    "Ending": "backends.stops",
    "Explanation": "values.explanation",
    "Failure": "values.failure",
    "Finding": "values.review",
    "Frame": "values.failure",
    "Label": "values.label",
    "Statement": "values.explanation",
    "Suspect": "values.explanation",
    "Model": "values.asked",
    "OnText": "backends",
    "Prompt": "values.asked",
    "Settings": "settings",
    "hookimpl": "backends",
    "AccessDenied": "errors",
    "BackendError": "errors",
    "BackendTimeout": "errors",
    "BackendUnavailable": "errors",
    "BadResponse": "errors",
    "ConfigError": "errors",
    "MissingExtra": "errors",
    "PromptTooLong": "errors",
    "RateLimited": "errors",
    "StarcoderError": "errors",
    "UnknownBackend": "errors",
    "UnknownModel": "errors",
    "UnreadableAnswer": "errors",
    "Untrusted": "errors",
}

__all__ = [
    "AccessDenied",
    "Backend",
    "BackendError",
    "BackendTimeout",
    "BackendUnavailable",
    "BadResponse",
    "Client",
    "Completion",
    "ConfigError",
    "Deadline",
    "Ending",
    "Explanation",
    "Failure",
    "Finding",
    "Frame",
    "Label",
    "MissingExtra",
    "Model",
    "OnText",
    "Prompt",
    "PromptTooLong",
    "RateLimited",
    "Settings",
    "StarcoderError",
    "Statement",
    "Suspect",
    "UnknownBackend",
    "UnknownModel",
    "UnreadableAnswer",
    "Untrusted",
    "ask",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
