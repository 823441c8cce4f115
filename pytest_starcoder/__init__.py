"""Explain failing tests, review changes and generate tests, with StarCoder on your machine.

`__all__` is the public API. A name is imported when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would be most of what importing this package costs

if TYPE_CHECKING:
    from typing import Any

    from pytest_starcoder.deadline import Deadline
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
    from pytest_starcoder.explain.explanation import Explanation, Statement, Suspect
    from pytest_starcoder.explain.failure import Failure, Frame
    from pytest_starcoder.model.ask import ask
    from pytest_starcoder.model.backends import Backend, OnText, hookimpl
    from pytest_starcoder.model.backends.stops import Ending
    from pytest_starcoder.model.client import Client
    from pytest_starcoder.model.prompt import Completion, Model, Prompt
    from pytest_starcoder.report.label import Label
    from pytest_starcoder.review.finding import Finding
    from pytest_starcoder.settings import Settings

_HOMES = {
    "ask": "model.ask",
    "Backend": "model.backends",
    "Client": "model.client",
    "Completion": "model.prompt",
    "Deadline": "deadline",
    "Ending": "model.backends.stops",
    "Explanation": "explain.explanation",
    "Failure": "explain.failure",
    "Finding": "review.finding",
    "Frame": "explain.failure",
    "Label": "report.label",
    "Statement": "explain.explanation",
    "Suspect": "explain.explanation",
    "Model": "model.prompt",
    "OnText": "model.backends",
    "Prompt": "model.prompt",
    "Settings": "settings",
    "hookimpl": "model.backends",
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
