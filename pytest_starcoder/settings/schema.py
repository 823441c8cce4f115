"""The schema: every key with its default, what its value may be, and what a file that git tracks may not set."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pytest_starcoder.settings.address import is_loopback, server_url

LOCAL_BACKENDS = ("auto", "none", "ollama", "llamacpp", "embedded")
"""What a file that git tracks may choose: backends that ask this machine unless a host says otherwise."""

BACKENDS = (*LOCAL_BACKENDS, "openai", "huggingface")
"""Those that this package itself offers."""

FAMILIES = ("starcoder2", "starcoder2-instruct", "starcoder", "chat", "completion")
"""Of models: what each was trained on decides the form of its prompts."""

MODELS = {"huggingface": "bigcode/starcoderplus", "openai": ""}
"""The model that a backend asks where none is set, empty for the one that its server has; else StarCoder2 7B."""


@dataclass(frozen=True)
class Settings:
    """Every setting, each with its default; times are seconds.

    An empty `model` becomes the backend's own default, of `MODELS`. `sources`
    names where each key that is not a default was set, as a user would say it:
    "pyproject.toml, line 7", "STARCODER_MODEL". `tracked` holds the keys that a
    file tracked by git has set.
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
    cache: str = "on"
    causes: int = 20
    replay: bool = True
    replay_timeout: float = 20.0
    early: str = "auto"
    fix: bool = True
    fix_timeout: float = 15.0
    fix_suite: bool = False
    confinement: str = "audit"
    generate_timeout: float = 120.0
    generate_requests: int = 60
    generate_tokens: int = 20_000
    review_time_budget: float = 20.0
    review_fail_on: str = "warning"
    review_min_severity: str = "info"
    review_max_findings: int = 5
    review_exclude: str = "*.lock,package-lock.json,npm-shrinkwrap.json,pnpm-lock.yaml,go.sum,*.min.js,*.min.css,*.map"
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
    help: str
    """One line for `--help` and the docs."""
    outside: Callable[[Any], str] = lambda _value: ""
    """Why a file that git tracks may not set this value; empty where it may."""
    secret: bool = False
    """Whether its value is never shown."""


# --- what a value may be ---


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable():
        raise ValueError("wants one line of text")
    return text


def _secret(value: object) -> str:
    text = _text(value)
    if not text.isascii():  # an HTTP header has no other characters
        raise ValueError("wants letters, digits and signs of ASCII")
    return text


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in words:
            raise ValueError(f"wants one of {', '.join(words)}")
        return str(value)

    return parse


def _number(low: float, high: float, unit: str = "") -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = _float(value)
        if not low <= number <= high:
            raise ValueError(f"wants a number from {low:g} to {high:g}{unit}")
        return number

    return parse


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = _float(value)
        if not low <= number <= high or number != int(number):
            raise ValueError(f"wants a whole number from {low} to {high}")
        return int(number)

    return parse


def _float(value: object) -> float:
    """NaN for what is no number, so that every range refuses it."""
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
    raise ValueError("wants on or off")


def _early(value: object) -> str:
    """`auto`, `on` or `off`."""
    if value == "auto":
        return "auto"
    with contextlib.suppress(ValueError):
        return "on" if _switch(value) else "off"
    raise ValueError("wants auto, on or off")


def _cache(value: object) -> str:
    """`on`, `off` or an absolute folder."""
    with contextlib.suppress(ValueError):
        return "on" if _switch(value) else "off"
    if isinstance(value, str) and "\0" not in value:
        with contextlib.suppress(RuntimeError):  # ~somebody who is not there
            folder = Path(value).expanduser()
            if folder.is_absolute():
                return str(folder)
    raise ValueError("wants on, off or the absolute path of a folder")


def _globs(value: object) -> str:
    """Globs with commas between them; a list in a TOML file is the same."""
    if isinstance(value, list) and all(isinstance(glob, str) for glob in value):
        value = ",".join(value)
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("wants globs with commas between them")
    return value


def _host(value: object) -> str:
    server_url(value)
    return str(value)


# --- what a file that git tracks may not set ---


def _remote_host(value: str) -> str:
    return "" if is_loopback(server_url(value)) else "it names another machine"


def _remote_backend(value: str) -> str:
    return "" if value in LOCAL_BACKENDS else "that backend may send code to another machine"


def _cloud_model(value: str) -> str:
    cloud = value.lower().endswith((":cloud", "-cloud"))
    return "Ollama sends what a cloud model is asked to another machine" if cloud else ""


SCHEMA: Mapping[str, Key] = {
    "backend": Key(
        _text, "auto, ollama, llamacpp, embedded, openai, huggingface or none", _remote_backend
    ),
    "model": Key(
        _text, "the model's name, or for the embedded engine a .gguf file or demo", _cloud_model
    ),
    "host": Key(_host, "the server's address", _remote_host),
    "api_key": Key(
        _secret, "the key that the server wants", lambda _value: "a key is a secret", secret=True
    ),
    "hf_token": Key(
        _secret, "the token for Hugging Face", lambda _value: "a token is a secret", secret=True
    ),
    "family": Key(
        _one_of("auto", *FAMILIES), "the form of the prompts: auto, " + ", ".join(FAMILIES)
    ),
    "timeout": Key(_number(0.1, 86400, " (seconds)"), "seconds for one call"),
    "connect_timeout": Key(_number(0.1, 3600, " (seconds)"), "seconds to connect"),
    "first_token_timeout": Key(
        _number(0.1, 86400, " (seconds)"), "seconds of silence, loading included"
    ),
    "session_timeout": Key(_number(0.1, 86400, " (seconds)"), "seconds for all calls of one run"),
    "temperature": Key(_number(0, 2), "how freely the model chooses its words"),
    "max_tokens": Key(_whole(1, 100_000), "tokens of one answer at the most"),
    "threads": Key(_whole(0, 1024), "threads of the embedded engine; 0 is all cores but one"),
    "cache": Key(
        _cache,
        "on, off or a folder",
        lambda value: "" if value in ("on", "off") else "it names a folder",
    ),
    "causes": Key(_whole(0, 1000), "causes that are asked about in one run at the most"),
    "replay": Key(
        _switch, "whether failing tests and their neighbours are run again to see what they execute"
    ),
    "replay_timeout": Key(
        _number(1, 3600, " (seconds)"), "seconds that running tests again may take in all"
    ),
    "fix": Key(_switch, "whether changes are tried that make failing tests pass"),
    "fix_timeout": Key(
        _number(1, 3600, " (seconds)"), "seconds that trying changes for one cause may take"
    ),
    "fix_suite": Key(
        _switch,
        "whether a change that passes is run with all tests that passed, not the nearest alone",
    ),
    "confinement": Key(
        _one_of("kernel", "audit", "none"),
        "what code that nobody has read is confined by at the least: kernel, audit or none",
        lambda value: (
            "" if value == "kernel" else "it may lower what confines code that nobody has read"
        ),
    ),
    "early": Key(
        _early,
        "whether causes are asked about while tests still run; auto: where the server is elsewhere",
    ),
    "generate_timeout": Key(
        _number(1, 86400, " (seconds)"), "seconds that generating tests may take in all"
    ),
    "generate_requests": Key(
        _whole(0, 100_000), "questions to a model that generating tests may take"
    ),
    "generate_tokens": Key(
        _whole(0, 100_000_000), "tokens that a model may write for generated tests"
    ),
    "review_time_budget": Key(_number(1, 86400, " (seconds)"), "seconds that a review may take"),
    "review_fail_on": Key(
        _one_of("info", "warning", "error", "never"),
        "from which severity on a finding stops a commit; or never",
    ),
    "review_min_severity": Key(
        _one_of("info", "warning", "error"), "from which severity on findings are shown"
    ),
    "review_max_findings": Key(_whole(1, 1000), "findings that are shown at the most"),
    "review_exclude": Key(_globs, "globs of files that are not reviewed, with commas between them"),
    "review_require_model": Key(_switch, "whether a review without a model is an error"),
}


def is_for_review(key: str) -> bool:
    """Whether a setting concerns reviews alone; the commands for them have options for it."""
    return key.startswith("review_")


assert set(SCHEMA) == {entry.name for entry in fields(Settings)} - {"sources", "tracked"}
