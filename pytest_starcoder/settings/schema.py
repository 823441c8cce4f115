"""The schema of settings: keys, defaults, possible values, and what tracked files may not set."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pytest_starcoder.settings.address import is_loopback, server_url

LOCAL_BACKENDS = ("auto", "none", "ollama", "llamacpp", "embedded")
"""Backends that use this machine unless a host says otherwise; tracked files may choose them."""

BACKENDS = (*LOCAL_BACKENDS, "openai", "huggingface")
"""Backends of this package."""

FAMILIES = ("starcoder2", "starcoder2-instruct", "starcoder", "chat", "completion")
"""Families of models, by the form of prompts they were trained on."""

MODELS = {"huggingface": "bigcode/starcoderplus", "openai": ""}
"""Default models by backend, StarCoder2 7B for the others; empty means the server's own."""


@dataclass(frozen=True)
class Settings:
    """Every setting, each with its default; times are in seconds.

    An empty `model` becomes the default of the backend. `sources` names where each key was
    set, in the user's terms: "pyproject.toml, line 7", "STARCODER_MODEL". `tracked` holds the
    keys that were set by a file tracked by git.
    """

    backend: str = "auto"
    model: str = ""
    host: str = ""
    api_key: str = field(default="", repr=False)
    hf_token: str = field(default="", repr=False)
    family: str = "auto"
    timeout: float = 120.0
    connect_timeout: float = 2.0
    first_token_timeout: float = 60.0
    session_timeout: float = 180.0
    temperature: float = 0.2
    max_tokens: int = 500
    threads: int = 0
    gpu_layers: str = "auto"
    cache: str = "on"
    explain_timeout: float = 60.0
    causes: int = 20
    replay: bool = True
    replay_timeout: float = 20.0
    early: str = "auto"
    fix: bool = True
    fix_timeout: float = 15.0
    undo: bool = True
    undo_timeout: float = 10.0
    fix_suite: bool = False
    confinement: str = "audit"
    generate_timeout: float = 120.0
    generate_requests: int = 60
    generate_tokens: int = 20_000
    review_time_budget: float = 20.0
    review_fail_on: str = "warning"
    review_min_severity: str = "info"
    review_max_findings: int = 5
    review_exclude: str = (
        "*.lock,package-lock.json,npm-shrinkwrap.json,pnpm-lock.yaml,go.sum,"
        "*.min.js,*.min.css,*.map"
    )
    review_require_model: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    tracked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", self.model or MODELS.get(self.backend, "starcoder2:7b"))

    def source(self, key: str) -> str:
        return self.sources.get(key, "default")


@dataclass(frozen=True)
class Key:
    parse: Callable[[object], Any]
    """Convert a value; ValueErrors complete the sentence that begins with the key."""
    help: str
    """One line for `--help` and the docs."""
    refusal: Callable[[Any], str] = lambda _value: ""
    """Return the reason why a tracked file may not set this value; empty if it may."""
    secret: bool = False
    """True if its value is never shown."""


# --- values ---


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable():
        raise ValueError("must be one line of text")
    return text


def _secret(value: object) -> str:
    text = _text(value)
    if not text.isascii():  # an HTTP header has no other characters
        raise ValueError("must contain only ASCII characters")
    return text


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return parse


def _number(low: float, high: float, unit: str = "") -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = _float(value)
        if not low <= number <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}{unit}")
        return number

    return parse


def _seconds(low: float, high: float = 86400) -> Callable[[object], float]:
    return _number(low, high, " (seconds)")


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = _float(value)
        if not low <= number <= high or number != int(number):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(number)

    return parse


def _float(value: object) -> float:
    """Return a number; NaN if it is none, which is in no range."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _switch(value: object) -> bool:
    word = str(value).strip().lower()
    if word in ("on", "true", "yes", "1"):
        return True
    if word in ("off", "false", "no", "0"):
        return False
    raise ValueError("must be on or off")


def _on_or_off(value: object) -> str:
    return "on" if _switch(value) else "off"


def _early(value: object) -> str:
    if value == "auto":
        return "auto"
    with contextlib.suppress(ValueError):
        return _on_or_off(value)
    raise ValueError("must be auto, on or off")


def _gpu_layers(value: object) -> str:
    if value == "auto":
        return "auto"
    with contextlib.suppress(ValueError):
        return str(_whole(0, 1000)(value))
    raise ValueError("must be auto or a whole number from 0 to 1000")


def _cache(value: object) -> str:
    with contextlib.suppress(ValueError):
        return _on_or_off(value)
    if isinstance(value, str) and "\0" not in value:
        with contextlib.suppress(RuntimeError):  # ~user without such a user
            folder = Path(value).expanduser()
            if folder.is_absolute():
                return str(folder)
    raise ValueError("must be on, off or the absolute path of a folder")


def _globs(value: object) -> str:
    """Accept globs separated by commas, or a list of them in a TOML file."""
    if isinstance(value, list) and all(isinstance(glob, str) for glob in value):
        value = ",".join(value)
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("must be globs separated by commas")
    return value


def _host(value: object) -> str:
    server_url(value)
    return str(value)


# --- values that a tracked file may not set ---
# They would let a repository decide where code is sent, or weaken the sandbox.


def _refuse_host(value: str) -> str:
    return "" if is_loopback(server_url(value)) else "it names another machine"


def _refuse_backend(value: str) -> str:
    return "" if value in LOCAL_BACKENDS else "that backend may send code to another machine"


def _refuse_model(value: str) -> str:
    if value.lower().endswith((":cloud", "-cloud")):
        return "Ollama sends the prompts for a cloud model to another machine"
    return ""


def _refuse_cache(value: str) -> str:
    return "" if value in ("on", "off") else "it names a folder"


def _refuse_confinement(value: str) -> str:
    return "" if value == "kernel" else "it may weaken the sandbox for untrusted code"


SCHEMA: Mapping[str, Key] = {
    "backend": Key(
        _text,
        "auto, ollama, llamacpp, embedded, openai, huggingface or none",
        _refuse_backend,
    ),
    "model": Key(
        _text,
        "name of the model; if embedded, a .gguf file, coder, demo or a pulled one",
        _refuse_model,
    ),
    "host": Key(_host, "address of the server", _refuse_host),
    "api_key": Key(
        _secret, "API key of the server", lambda _value: "a key is a secret", secret=True
    ),
    "hf_token": Key(
        _secret, "Hugging Face token", lambda _value: "a token is a secret", secret=True
    ),
    "family": Key(_one_of("auto", *FAMILIES), "prompt format: auto, " + ", ".join(FAMILIES)),
    "timeout": Key(_seconds(0.1), "maximum seconds per model call"),
    "connect_timeout": Key(_seconds(0.1, 3600), "maximum seconds to connect to the server"),
    "first_token_timeout": Key(
        _seconds(0.1), "maximum seconds without output, including loading the model"
    ),
    "session_timeout": Key(_seconds(0.1), "maximum seconds for all model calls of a run"),
    "temperature": Key(_number(0, 2), "sampling temperature"),
    "max_tokens": Key(_whole(1, 100_000), "maximum number of tokens per answer"),
    "threads": Key(_whole(0, 1024), "threads of the embedded backend; 0 means one for each core"),
    "gpu_layers": Key(
        _gpu_layers,
        "layers of the model that the embedded backend puts on a GPU: a number, "
        "or auto (as many as fit)",
    ),
    "cache": Key(_cache, "on, off or the absolute path of a folder", _refuse_cache),
    "explain_timeout": Key(
        _seconds(1), "maximum seconds for explaining failures; caps all other limits"
    ),
    "causes": Key(_whole(0, 1000), "maximum number of causes sent to the model per run"),
    "replay": Key(_switch, "run failing tests and their neighbours again to trace them"),
    "replay_timeout": Key(_seconds(1, 3600), "maximum seconds for running tests again"),
    "fix": Key(_switch, "try edits that make failing tests pass"),
    "fix_timeout": Key(_seconds(1, 3600), "maximum seconds for trying edits per cause"),
    "undo": Key(_switch, "undo changes in memory to find the one that broke a test"),
    "undo_timeout": Key(_seconds(1, 3600), "maximum seconds for undoing changes per run"),
    "fix_suite": Key(_switch, "check a fix with all tests that passed, not only the nearest ones"),
    "confinement": Key(
        _one_of("kernel", "audit", "none"),
        "minimum sandbox for untrusted code (candidate fixes, generated tests): "
        "kernel, audit or none",
        _refuse_confinement,
    ),
    "early": Key(
        _early,
        "ask about causes while tests still run: on, off, "
        "or auto (if the model does not use this machine)",
    ),
    "generate_timeout": Key(_seconds(1), "maximum seconds for generating tests"),
    "generate_requests": Key(
        _whole(0, 100_000), "maximum number of model calls for generating tests"
    ),
    "generate_tokens": Key(
        _whole(0, 100_000_000), "maximum number of tokens the model writes for generated tests"
    ),
    "review_time_budget": Key(_seconds(1), "maximum seconds for a review"),
    "review_fail_on": Key(
        _one_of("info", "warning", "error", "never"),
        "minimum severity that blocks a commit: info, warning, error or never",
    ),
    "review_min_severity": Key(
        _one_of("info", "warning", "error"), "minimum severity that is shown"
    ),
    "review_max_findings": Key(_whole(1, 1000), "maximum number of findings shown"),
    "review_exclude": Key(_globs, "globs of files that are not reviewed, separated by commas"),
    "review_require_model": Key(_switch, "fail if no model answers"),
}


MODEL_KEYS = frozenset(
    {
        "backend",
        "model",
        "host",
        "api_key",
        "hf_token",
        "family",
        "timeout",
        "connect_timeout",
        "first_token_timeout",
        "session_timeout",
        "temperature",
        "max_tokens",
        "threads",
        "gpu_layers",
        "cache",
    }
)
"""Settings that matter wherever a model is asked."""


def is_for_review(key: str) -> bool:
    """Return whether a setting concerns only reviews; their commands have options for it."""
    return key.startswith("review_")


def option_name(key: str) -> str:
    """Return the option that sets a key; only the commands for reviews have short ones."""
    prefix = "--" if is_for_review(key) else "--starcoder-"
    return prefix + key.removeprefix("review_").replace("_", "-")


# A setting needs a field, a row above, and an option in plugin.py.
assert set(SCHEMA) == {entry.name for entry in fields(Settings)} - {"sources", "tracked"}
