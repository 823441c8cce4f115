"""One schema, one place a key: from the command line, the environment and three files to `Settings`.

Precedence, first wins: command line, environment, `.env`, the user's
`config.toml`, `[tool.starcoder]` in the project's `pyproject.toml`, defaults.
A file that git tracks cannot decide where code is sent.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pytest_starcoder import git
from pytest_starcoder.errors import ConfigError, Untrusted

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""The host names that mean this machine; no other spelling does."""

LOCAL_BACKENDS = ("auto", "none", "ollama", "llamacpp", "embedded")
"""What a file that git tracks may choose: backends that ask this machine unless a host says otherwise."""


@dataclass(frozen=True)
class Settings:
    """Every setting, each with its default; times are seconds.

    `sources` names where each key that is not a default was set, as a user
    would say it: "pyproject.toml, line 7", "STARCODER_MODEL". `tracked` holds
    the keys that a file tracked by git has set.
    """

    backend: str = "auto"
    model: str = "starcoder2:7b"
    host: str = ""
    api_key: str = field(default="", repr=False)
    family: str = "auto"
    timeout: float = 120.0
    connect_timeout: float = 2.0
    first_token_timeout: float = 60.0
    session_timeout: float = 180.0
    temperature: float = 0.2
    max_tokens: int = 500
    threads: int = 0
    cache: str = "on"
    sources: Mapping[str, str] = field(default_factory=dict)
    tracked: frozenset[str] = frozenset()

    def source(self, key: str) -> str:
        return self.sources.get(key, "default")


@dataclass(frozen=True)
class _Key:
    parse: Callable[[object], Any]
    help: str
    """One line for `--help` and the docs."""
    outside: Callable[[Any], str] = lambda _value: ""
    """Why a file that git tracks may not set this value; empty where it may."""


@dataclass(frozen=True)
class _Entry:
    """One value as it was found."""

    value: object
    source: str
    tracked: bool


# --- reading one value ---------------------------------------------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("wants a text that is not empty")
    return value.strip()


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


def _cache(value: object) -> str:
    """`on`, `off` or an absolute folder."""
    word = str(value).strip().lower()
    if value is True or word in ("on", "true", "yes", "1"):
        return "on"
    if value is False or word in ("off", "false", "no", "0"):
        return "off"
    if isinstance(value, str) and Path(value).expanduser().is_absolute():
        return str(Path(value).expanduser())
    raise ValueError("wants on, off or the absolute path of a folder")


def server_url(value: object, default_port: int = 11434, *, lenient: bool = False) -> str:
    """`value` as scheme://host:port/path, by the rules of OLLAMA_HOST.

    Without a scheme it is http and `default_port`; with one, the scheme's own
    port. A name that means every address (0.0.0.0, ::, none) becomes loopback.
    A port that is none means the default one if `lenient`, as Ollama reads its
    variable. Raises ValueError for what cannot be an address.
    """
    text = value.strip(" \t\"'") if isinstance(value, str) else ""
    if not text:
        raise ValueError("wants an address such as 127.0.0.1:11434 or https://gpu-box.example")
    if re.search(r"[\s\\\x00-\x1f]", text):
        raise ValueError("has a character that no address has")
    scheme, found, rest = text.rpartition("://")
    scheme = scheme.lower() if found else "https" if text == "ollama.com" else "http"
    if scheme not in ("http", "https"):
        raise ValueError("wants http:// or https://")
    if found or scheme == "https":
        default_port = {"http": 80, "https": 443}[scheme]
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # a bare IPv6 address
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname or "", _port(parts, default_port, lenient)
    except ValueError as exc:
        raise ValueError(f"is no address ({exc})") from exc
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("wants host, port and path alone; a key goes into api_key")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}{parts.path.rstrip('/')}"


def _port(parts: SplitResult, default: int, lenient: bool) -> int:
    try:
        return parts.port or default
    except ValueError:
        if lenient:
            return default
        raise


def is_loopback(url: str) -> bool:
    """Whether a URL made by `server_url` names this machine."""
    return urlsplit(url).hostname in LOOPBACK


# --- the schema ----------------------------------------------------------------------------


def _remote_host(value: str) -> str:
    return "" if is_loopback(server_url(value)) else "it names another machine"


def _remote_backend(value: str) -> str:
    return "" if value in LOCAL_BACKENDS else "that backend may send code to another machine"


def _cloud_model(value: str) -> str:
    cloud = value.endswith("-cloud") or value.rpartition(":")[2] == "cloud"
    return "Ollama sends what a cloud model is asked to another machine" if cloud else ""


def _host(value: object) -> str:
    server_url(value)
    return str(value)


SCHEMA: Mapping[str, _Key] = {
    "backend": _Key(_text, "auto, ollama, llamacpp, embedded or none", _remote_backend),
    "model": _Key(_text, "the model's name, or for the embedded engine a .gguf file or demo", _cloud_model),
    "host": _Key(_host, "the server's address", _remote_host),
    "api_key": _Key(_text, "the key that the server wants", lambda _value: "a key is a secret"),
    "family": _Key(_one_of("auto", "starcoder2", "completion"), "the form of the prompts"),
    "timeout": _Key(_number(0.1, 86400, " (seconds)"), "seconds for one call"),
    "connect_timeout": _Key(_number(0.1, 3600, " (seconds)"), "seconds to connect"),
    "first_token_timeout": _Key(_number(0.1, 86400, " (seconds)"), "seconds of silence, loading included"),
    "session_timeout": _Key(_number(0.1, 86400, " (seconds)"), "seconds for all calls of one run"),
    "temperature": _Key(_number(0, 2), "how freely the model chooses its words"),
    "max_tokens": _Key(_whole(1, 100_000), "tokens of one answer"),
    "threads": _Key(_whole(0, 1024), "threads of the embedded engine; 0 is all cores but one"),
    "cache": _Key(_cache, "on, off or a folder", lambda value: "" if value in ("on", "off") else "it names a folder"),
}


# --- finding the project and its files -----------------------------------------------------


def project_root(start: Path) -> Path:
    """The nearest folder from `start` upwards with a `pyproject.toml`, not above the git repository.

    Without one, the repository's top; without a repository, `start`.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return start


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's own `config.toml` is looked for on this platform."""
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "win32":
        base = Path(environ.get("APPDATA") or home / "AppData" / "Roaming")
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return base / "starcoder" / "config.toml"


def cache_folder(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Where answers are kept; the folder may not exist yet."""
    if settings.cache not in ("on", "off"):
        return Path(settings.cache)
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin" and not environ.get("XDG_CACHE_HOME"):
        base = home / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "starcoder"


# --- loading -------------------------------------------------------------------------------


def load_settings(
    start: Path, options: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """The settings in force for the project around `start`.

    `options` are the command line's, by key. Raises ConfigError for a key or
    value that cannot be used, wherever it stands, and Untrusted where a file
    that git tracks would decide where code is sent.
    """
    root = project_root(start)
    layers = [
        _command_line(options or {}),
        _environment(environ),
        _dotenv(root / ".env"),
        _toml(user_file(environ), (), tracked=False),
        _toml(root / "pyproject.toml", ("tool", "starcoder"), tracked=True),
    ]
    for layer in layers:
        for key, entry in layer.items():
            _check(key, entry)
    backend = next((str(layer["backend"].value) for layer in layers if "backend" in layer), "auto")
    chosen: dict[str, _Entry] = {}
    for layer in reversed(layers):
        chosen.update({key: entry for key, entry in layer.items() if key != "ollama_host"})
        if backend in ("auto", "ollama") and "host" not in layer and "ollama_host" in layer:
            chosen["host"] = layer["ollama_host"]
    for key, entry in chosen.items():
        if entry.tracked:
            _refuse_outside(key, entry)
    return Settings(
        **{key: SCHEMA[key].parse(entry.value) for key, entry in chosen.items()},
        sources={key: entry.source for key, entry in chosen.items()},
        tracked=frozenset(key for key, entry in chosen.items() if entry.tracked),
    )


def _command_line(options: Mapping[str, str]) -> dict[str, _Entry]:
    return {key: _Entry(value, f"--starcoder-{key.replace('_', '-')}", False) for key, value in options.items()}


def _environment(environ: Mapping[str, str]) -> dict[str, _Entry]:
    return dict(_variables(environ, lambda name: name, tracked=False))


def _dotenv(path: Path) -> dict[str, _Entry]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    text = _read(path)
    variables = {name: value for name, value in dotenv_values(path).items() if value is not None}

    def source(name: str) -> str:
        line = _line(text, rf"\s*(?:export\s+)?['\"]?{re.escape(name)}['\"]?\s*=")
        return f"{path.name}, line {line} ({name})"

    entries = dict(_variables(variables, source, tracked=False))
    if entries and git.is_tracked(path):
        return {key: _Entry(entry.value, entry.source, True) for key, entry in entries.items()}
    return entries


def _variables(
    values: Mapping[str, str], source: Callable[[str], str], *, tracked: bool
) -> Iterator[tuple[str, _Entry]]:
    for name, value in values.items():
        if name == "OLLAMA_HOST" and value.strip(" \t\"'"):
            yield "ollama_host", _Entry(_ollama_url(value, source(name)), source(name), tracked)
        elif name.startswith("STARCODER_"):
            key = name.removeprefix("STARCODER_").lower()
            if key not in SCHEMA:
                nearest = _nearest(key)
                raise ConfigError(
                    f"{source(name)}: there is no setting {name}.",
                    f"The nearest is STARCODER_{nearest.upper()}." if nearest else _all_keys(),
                )
            if value:  # an empty variable is an unset one
                yield key, _Entry(value, source(name), tracked)


def _toml(path: Path, table: tuple[str, ...], *, tracked: bool) -> dict[str, _Entry]:
    if not path.is_file():
        return {}
    shown = path.name if tracked else str(path)
    text = _read(path)
    try:
        content: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{shown} is not valid TOML: {exc}.", "Mend that line.") from exc
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise ConfigError(f"{shown}: [{'.'.join(table)}] is not a table.", "Write it as [tool.starcoder].")
    entries = {}
    for key, value in content.items():
        source = f"{shown}, line {_toml_line(text, table, key)}"
        if key not in SCHEMA:
            nearest = _nearest(key)
            raise ConfigError(
                f"{source}: there is no setting {key!r}.",
                f"The nearest is {nearest!r}." if nearest else _all_keys(),
            )
        entries[key] = _Entry(value, source, tracked)
    return entries


def _ollama_url(value: str, source: str) -> str:
    try:
        return server_url(value, lenient=True)
    except ValueError as exc:
        raise ConfigError(f"{source}: OLLAMA_HOST {exc}, not {value!r}.", "Mend or unset it.") from exc


def _check(key: str, entry: _Entry) -> None:
    """Raises ConfigError for a value that its key cannot have; a secret is not shown."""
    try:
        SCHEMA["host" if key == "ollama_host" else key].parse(entry.value)
    except ValueError as exc:
        shown = "" if key == "api_key" else f", not {entry.value!r}"
        raise ConfigError(f"{entry.source}: {key} {exc}{shown}.", "Mend or remove it.") from exc


def _refuse_outside(key: str, entry: _Entry) -> None:
    value = SCHEMA[key].parse(entry.value)
    reason = SCHEMA[key].outside(value)
    if reason:
        shown = "" if key == "api_key" else f" = {value!r}"
        raise Untrusted(
            f"{entry.source}: a file that belongs to the repository may not set {key}{shown}: {reason}.",
            f"Set it with --starcoder-{key.replace('_', '-')}, STARCODER_{key.upper()}, "
            "a .env that git does not track, or your own config.toml.",
        )


def _nearest(key: str) -> str:
    return next(iter(difflib.get_close_matches(key.lower(), list(SCHEMA), n=1, cutoff=0.5)), "")


def _all_keys() -> str:
    return f"The settings are {', '.join(SCHEMA)}."


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}.", "Make it readable UTF-8 text, or remove it.") from exc


def _line(text: str, pattern: str, start: int = 0) -> int:
    """The 1-based number of the first line from index `start` on that matches; 1 where none does."""
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines[start:], start + 1) if re.match(pattern, line)), 1)


def _toml_line(text: str, table: tuple[str, ...], key: str) -> int:
    if not table:
        return _line(text, rf"\s*['\"]?{re.escape(key)}['\"]?\s*=")
    header = _line(text, r"\s*\[\s*" + r"\s*\.\s*".join(map(re.escape, table)) + r"\s*\]")
    return _line(text, rf"\s*(?:[\w.]+\.)?['\"]?{re.escape(key)}['\"]?\s*=", header - 1)


assert set(SCHEMA) == {entry.name for entry in fields(Settings)} - {"sources", "tracked"}
