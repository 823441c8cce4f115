"""The errors of this package, each with a message and a next step.

StarcoderError(message, hint)
├── ConfigError          a setting cannot be used
│   ├── UnknownBackend   no backend has that name
│   ├── MissingExtra     a package of an optional extra is not installed
│   ├── MissingModel     the model file is missing or is not a model
│   ├── Misuse           the command line is invalid
│   ├── GitFailed        git failed: the message contains git's own
│   └── Untrusted        a file that git tracks tries to decide where code is sent
├── BackendError         the model could not be asked
│   ├── BackendUnavailable  nothing answers, or the server cannot load the model
│   ├── BackendTimeout      no answer within the time allowed
│   ├── AccessDenied        the server wants another key, or refuses this one
│   ├── RateLimited         the server has too much to do
│   ├── UnknownModel        the server does not have the model, or not for this use
│   └── BadResponse         what came back is no answer
├── PromptTooLong        the prompt does not fit the model's window
└── UnreadableAnswer     the model answered nothing that can be used

The backends translate errors of other libraries into these. The pytest plugin and the
commands translate these into pytest's errors or exit codes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


class StarcoderError(Exception):
    """An error with a `message` about what happened and a `hint` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(StarcoderError):
    """A setting cannot be used; the message names the file and line, the variable or the option."""


class UnknownBackend(ConfigError):
    """No backend has that name."""


class MissingExtra(ConfigError):
    """A package of an optional extra is not installed."""


def how_to_install(extra: str, remark: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """Return the hint for a missing package of `extra`, with `remark` after the command."""
    package = f"pytest-starcoder[{extra}]"
    # pre-commit and prek run hooks in environments where `pip install` has no effect.
    if environ.get("PRE_COMMIT") == "1":
        return (
            "This hook runs in its own environment: add "
            f"`additional_dependencies: ['{package}']` to it in .pre-commit-config.yaml{remark}."
        )
    return f"Install it with `pip install '{package}'`{remark}."


def os_reason(exc: OSError) -> str:
    """Return what the system says about an error, without its number and the file."""
    return exc.strerror or str(exc)


class MissingModel(ConfigError):
    """The model file is missing or is not a model."""


class Misuse(ConfigError):
    """The command line is invalid."""


class GitFailed(ConfigError):
    """git failed: the message contains git's own."""


class Untrusted(ConfigError):
    """A file that git tracks tries to decide where code is sent."""


class BackendError(StarcoderError):
    """The model could not be asked.

    `retry_after` is the number of seconds after which a retry may work, or None.
    """

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class BackendUnavailable(BackendError):
    """Nothing answers, or the server cannot load the model."""


class BackendTimeout(BackendError):
    """No answer within the time allowed."""


class AccessDenied(BackendError):
    """The server wants another key, or refuses this one."""


class RateLimited(BackendError):
    """The server has too much to do."""


class UnknownModel(BackendError):
    """The server does not have the model, or not for this use."""


class BadResponse(BackendError):
    """What came back is no answer."""


class PromptTooLong(StarcoderError):
    """The prompt does not fit the model's window."""


class UnreadableAnswer(StarcoderError):
    """The model answered nothing that can be used."""
