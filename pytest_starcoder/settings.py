"""One schema, one place a key: from the command line, the environment and three files to `Settings`.

Precedence, first wins: command line, environment, `.env`, the user's
`config.toml`, `[tool.starcoder]` in the project's `pyproject.toml`, defaults.
A file that git tracks cannot decide where code is sent.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import math
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pytest_starcoder import git
from pytest_starcoder.errors import ConfigError, Untrusted
from pytest_starcoder.text.display import one_line

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""The host names that mean this machine; no other spelling does."""

OLLAMA_HOST = "OLLAMA_HOST"

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

    value: Any = field(repr=False)  # it may be a key
    source: str
    tracked: bool


# --- reading one value ---------------------------------------------------------------------


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


def _cache(value: object) -> str:
    """`on`, `off` or an absolute folder."""
    word = str(value).strip().lower()
    if value is True or word in ("on", "true", "yes", "1"):
        return "on"
    if value is False or word in ("off", "false", "no", "0"):
        return "off"
    if isinstance(value, str) and "\0" not in value:
        with contextlib.suppress(RuntimeError):  # ~somebody who is not there
            folder = Path(value).expanduser()
            if folder.is_absolute():
                return str(folder)
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
    if re.search(r"[\s\\]", text) or not text.isprintable():
        raise ValueError("has a character that no address has")
    if "@" in text:
        raise ValueError("wants no user and no password; a key goes into api_key")
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
    if parts.query or parts.fragment:
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
    cloud = value.lower().endswith((":cloud", "-cloud"))
    return "Ollama sends what a cloud model is asked to another machine" if cloud else ""


def _host(value: object) -> str:
    server_url(value)
    return str(value)


SCHEMA: Mapping[str, _Key] = {
    "backend": _Key(_text, "auto, ollama, llamacpp, embedded or none", _remote_backend),
    "model": _Key(_text, "the model's name, or for the embedded engine a .gguf file or demo", _cloud_model),
    "host": _Key(_host, "the server's address", _remote_host),
    "api_key": _Key(_secret, "the key that the server wants", lambda _value: "a key is a secret"),
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
    home = _folder(environ, "HOME") or Path.home()
    if sys.platform == "win32":
        base = _folder(environ, "APPDATA") or home / "AppData" / "Roaming"
    else:
        base = _folder(environ, "XDG_CONFIG_HOME") or home / ".config"
    return base / "starcoder" / "config.toml"


def cache_folder(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Where answers are kept; the folder may not exist yet."""
    if settings.cache not in ("on", "off"):
        return Path(settings.cache)
    home = _folder(environ, "HOME") or Path.home()
    if sys.platform == "win32":
        base = _folder(environ, "LOCALAPPDATA") or home / "AppData" / "Local"
    else:
        usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
        base = _folder(environ, "XDG_CACHE_HOME") or usual
    return base / "starcoder"


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    """The folder that a variable names; a relative one would be wherever the program was started, so it is none."""
    folder = Path(environ.get(name, ""))
    return folder if folder.is_absolute() else None


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
    layers = [{key: _parsed(key, entry) for key, entry in layer.items()} for layer in layers]
    backend = next((layer["backend"].value for layer in layers if "backend" in layer), Settings.backend)
    chosen: dict[str, _Entry] = {}
    for layer in reversed(layers):
        ollama = layer.pop(OLLAMA_HOST, None)
        if ollama is not None and "host" not in layer and backend in ("auto", "ollama"):
            layer["host"] = _ollama_host(ollama)
        chosen.update(layer)
    for key, entry in chosen.items():
        if entry.tracked:
            _refuse_outside(key, entry)
    return Settings(
        **{key: entry.value for key, entry in chosen.items()},
        sources={key: entry.source for key, entry in chosen.items()},
        tracked=frozenset(key for key, entry in chosen.items() if entry.tracked),
    )


def _command_line(options: Mapping[str, str]) -> dict[str, _Entry]:
    return {key: _Entry(value, f"--starcoder-{key.replace('_', '-')}", False) for key, value in options.items()}


def _environment(environ: Mapping[str, str]) -> dict[str, _Entry]:
    return dict(_variables(environ, lambda name: name, tracked=False))


def _dotenv(path: Path) -> dict[str, _Entry]:
    text = _read(path)
    if "STARCODER_" not in text and OLLAMA_HOST not in text:
        return {}
    from dotenv import dotenv_values

    tracked = git.is_tracked(path)
    # ${NAME} reads the environment, keys included: no file of the repository's shall.
    found = dotenv_values(stream=io.StringIO(text), interpolate=not tracked)
    lines = _variable_lines(text)
    for name, line in lines.items():
        if found.get(name) is None:  # python-dotenv skips a line that it cannot read
            raise ConfigError(f"{path.name}, line {line}: {name} has no value that can be read.", "Write NAME=value.")

    def source(name: str) -> str:
        line = f", line {lines[name]}" if name in lines else ""
        return f"{path.name}{line} ({name})"

    values = {name: value for name, value in found.items() if value is not None}
    return dict(_variables(values, source, tracked=tracked))


def _variable_lines(text: str) -> dict[str, int]:
    """The line of each variable of ours in a `.env`; of two for one name the last, whose value holds."""
    ours = re.compile(rf"\s*(?:export\s+)?['\"]?(STARCODER_\w+|{OLLAMA_HOST}\b)")
    found = ((ours.match(line), number) for number, line in enumerate(text.split("\n"), 1))
    return {match[1]: number for match, number in found if match}


def _variables(
    values: Mapping[str, str], source: Callable[[str], str], *, tracked: bool
) -> Iterator[tuple[str, _Entry]]:
    """The settings among variables; an empty variable is an unset one."""
    for name, value in values.items():
        if name == OLLAMA_HOST and value.strip(" \t\"'"):
            yield OLLAMA_HOST, _Entry(value, source(name), tracked)
        elif name.startswith("STARCODER_") and value:
            key = name.removeprefix("STARCODER_").lower()
            if key not in SCHEMA:
                nearest = _nearest(key)
                raise ConfigError(
                    f"{one_line(source(name), 120)}: there is no such setting.",
                    f"The nearest is STARCODER_{nearest.upper()}." if nearest else _all_keys(),
                )
            yield key, _Entry(value, source(name), tracked)


def _toml(path: Path, table: tuple[str, ...], *, tracked: bool) -> dict[str, _Entry]:
    text = _read(path)
    if not text:
        return {}
    shown = path.name if tracked else str(path)
    try:
        content: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # ValueError: also a number with too many digits
        raise ConfigError(f"{shown} is not valid TOML: {exc}.", "Mend that line.") from exc
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise ConfigError(f"{shown}: {'.'.join(table)} is not a table.", f"Write it as [{'.'.join(table)}].")
    entries = {}
    for key, value in content.items():
        line = _toml_line(text, [*table, key])
        source = f"{shown}, line {line}" if line else shown
        if key not in SCHEMA:
            nearest = _nearest(key)
            raise ConfigError(
                f"{source}: there is no setting {one_line(repr(key), 80)}.",
                f"The nearest is {nearest!r}." if nearest else _all_keys(),
            )
        entries[key] = _Entry(value, source, tracked)
    return entries


def _toml_line(text: str, wanted: list[str]) -> int:
    """The line on which the dotted key `wanted` is set, or the inline table around it; 0 where none is found."""
    table: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = _dotted(header[1])
            if table[: len(wanted)] == wanted:
                return number
        elif assigned := re.match(r"\s*([\w\-.\"' \t]+?)\s*=", line):
            path = [*table, *_dotted(assigned[1])]
            if path[: len(wanted)] == wanted[: len(path)]:
                return number
    return 0


def _dotted(name: str) -> list[str]:
    return [part.strip(" \t\"'") for part in name.split(".")]


def _parsed(key: str, entry: _Entry) -> _Entry:
    """The entry with its value as the key wants it; raises ConfigError for one that the key cannot have."""
    if key == OLLAMA_HOST:  # read where it is used: with another backend it is nobody's business
        return entry
    try:
        return replace(entry, value=SCHEMA[key].parse(entry.value))
    except ValueError as exc:
        raise ConfigError(f"{entry.source}: {key} {exc}{_not(key, entry.value)}.", "Mend or remove it.") from exc


def _ollama_host(entry: _Entry) -> _Entry:
    try:
        return replace(entry, value=server_url(entry.value, lenient=True))
    except ValueError as exc:
        raise ConfigError(
            f"{entry.source}: {OLLAMA_HOST} {exc}{_not('host', entry.value)}.", "Mend or unset it."
        ) from exc


def _not(key: str, value: object) -> str:
    """', not 42', as the end of a sentence on a value; empty where the value is or may hold a secret."""
    if key == "api_key" or (key == "host" and re.search("[@?#]", str(value))):
        return ""
    try:
        return f", not {one_line(repr(value), 100)}"
    except ValueError:  # of a number with too many digits
        return ""


def _refuse_outside(key: str, entry: _Entry) -> None:
    reason = SCHEMA[key].outside(entry.value)
    if reason:
        shown = "" if key == "api_key" else f" = {one_line(repr(entry.value), 100)}"
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
    """The text of a file without its byte order mark; empty where there is no such file."""
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in a folder that may not be entered
        return ""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}.", "Make it readable UTF-8 text, or remove it.") from exc


assert set(SCHEMA) == {entry.name for entry in fields(Settings)} - {"sources", "tracked"}
