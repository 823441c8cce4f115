"""Reads settings from options, variables and files; each value keeps its source."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.interpreter import installed
from pytest_starcoder.settings.schema import SCHEMA, option_name
from pytest_starcoder.source.git.tracking import is_tracked, is_versioned
from pytest_starcoder.text.display import one_line


@dataclass(frozen=True)
class ForeignVariable:
    """A variable of another program: the key that it sets for some backends."""

    key: str
    backends: tuple[str, ...]


HF_TOKENS = ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN")

# In order of precedence.
FOREIGN_VARIABLES: Mapping[str, ForeignVariable] = {
    "OLLAMA_HOST": ForeignVariable("host", ("auto", "ollama")),
    **dict.fromkeys(HF_TOKENS, ForeignVariable("hf_token", ("huggingface",))),
}

# Hints for a value in a place where it is not allowed.
HINT = "Set it with {option}, {variable}, a .env that git does not track, or your own config.toml."
TRACKED_HINT = HINT.replace("does not track", "does not track (`git rm --cached .env`)")
NO_GIT_HINT = (
    "Set it with {option}, {variable} or your own config.toml: "
    "without git, .env counts as part of the project."
)
OPTION_HINT = "Remove it there, or pass {option} on the command line or in PYTEST_ADDOPTS."

TrackedText = Callable[[Path], str | None]
"""Returns the text of a tracked file that counts, "" if there is none; None for its own text."""


@dataclass(frozen=True)
class Entry:
    """A value and its source; `hint` applies if a file of the repository may not set it."""

    value: Any = field(repr=False)  # it may be a key
    source: str
    tracked: bool
    hint: str = HINT


def read_options(options: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Entry]:
    """Return the given options by key; `files` names the repository file that sets each."""
    entries = {}
    for key, value in options.items():
        option = option_name(key)
        if key in files:
            source = f"{files[key]}, {option}"
            entries[key] = Entry(value, source, tracked=True, hint=OPTION_HINT)
        else:
            entries[key] = Entry(value, option, tracked=False)
    return entries


def read_environment(environ: Mapping[str, str]) -> dict[str, Entry]:
    """Return the settings among the variables of the environment. Raises ConfigError."""
    entries = {}
    for name, value in environ.items():
        key = _variable_key(name, value, name)
        if key:
            entries[key] = Entry(value, name, tracked=False)
    return entries


def read_dotenv(path: Path, tracked_text: TrackedText | None = None) -> dict[str, Entry]:
    """Return the settings in a `.env`. Raises ConfigError for a line of ours that is invalid."""
    text = settings_text(path, tracked_text)
    if not any(name in text for name in ("STARCODER_", *FOREIGN_VARIABLES)):
        return {}
    with installed("dotenv"):
        from dotenv import dotenv_values

    # Git is called only now, because most `.env` files have no settings of ours.
    tracked = is_tracked(path)
    hint = TRACKED_HINT if is_versioned(path) else NO_GIT_HINT
    # ${NAME} would read the environment, API keys included, for a file of the repository.
    values = dotenv_values(stream=io.StringIO(text), interpolate=not tracked)
    lines = _variable_lines(text)
    _check_readable(path, lines, values)
    entries = {}
    for name, value in values.items():
        line_text = f", line {lines[name]}" if name in lines else ""
        source = f"{path.name}{line_text} ({name})"
        key = _variable_key(name, value or "", source)
        if key:
            entries[key] = Entry(value, source, tracked, hint)
    return entries


def _check_readable(path: Path, lines: Mapping[str, int], values: Mapping[str, str | None]) -> None:
    """Raise ConfigError for a line of ours that python-dotenv could not read."""
    for name, line in lines.items():
        # python-dotenv skips invalid lines. Tokens may be meant for other programs.
        if values.get(name) is None and name not in HF_TOKENS:
            raise ConfigError(
                f"{path.name}, line {line}: {name} has no readable value.",
                "Write NAME=value.",
            )


def _variable_lines(text: str) -> dict[str, int]:
    """Return the line of each variable of ours in a `.env`: the last one, whose value counts."""
    foreign = "|".join(FOREIGN_VARIABLES)
    pattern = re.compile(rf"\s*(?:export\s+)?['\"]?(STARCODER_\w+|(?:{foreign})\b)")
    lines = {}
    for number, line in enumerate(text.split("\n"), 1):
        match = pattern.match(line)
        if match:
            lines[match[1]] = number
    return lines


def _variable_key(name: str, value: str, source: str) -> str:
    """Return the key that a variable sets; empty for other variables, and if it is empty.

    A foreign variable has its own name as key. Raises ConfigError for an unknown setting.
    """
    if name in FOREIGN_VARIABLES:
        return name if value.strip(" \t\"'") else ""
    if not name.startswith("STARCODER_") or not value:
        return ""
    key = name.removeprefix("STARCODER_").lower()
    if key not in SCHEMA:
        hint = _nearest_hint(key, lambda nearest: f"STARCODER_{nearest.upper()}")
        raise ConfigError(f"{one_line(source, 120)}: there is no such setting.", hint)
    return key


def read_toml(
    path: Path, table: tuple[str, ...], *, tracked: bool, tracked_text: TrackedText | None = None
) -> dict[str, Entry]:
    """Return the settings in a table of a TOML file, or in the whole file. Raises ConfigError."""
    text = settings_text(path, tracked_text)
    if not text:
        return {}
    import tomllib  # takes a while, and most projects have no settings

    file_name = path.name if tracked else str(path)
    try:
        content: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # ValueError: also a number with too many digits
        raise ConfigError(f"{file_name} is not valid TOML: {exc}.", "Fix that line.") from exc
    for name in table:
        if isinstance(content, dict):
            content = content.get(name, {})
    if not isinstance(content, dict):
        header = ".".join(table)
        raise ConfigError(f"{file_name}: {header} is not a table.", f"Write it as [{header}].")
    entries = {}
    for key, value in content.items():
        line = _toml_line(text, [*table, key])
        source = f"{file_name}, line {line}" if line else file_name
        if key not in SCHEMA:
            raise _unknown_key(key, source, table)
        entries[key] = Entry(value, source, tracked)
    return entries


def _unknown_key(key: str, source: str, table: Sequence[str]) -> ConfigError:
    hint = _nearest_hint(key, repr)
    if not table and key in ("tool", "starcoder"):
        hint = "In this file, settings are at the top level, without a table."
    shown_key = one_line(repr(key), 80)
    return ConfigError(f"{source}: there is no setting {shown_key}.", hint)


def _toml_line(text: str, key: Sequence[str]) -> int:
    """Return the line that sets a dotted key, or the inline table around it; 0 if not found."""
    # tomllib returns no line numbers, so search for the usual ways to write a key.
    table: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        assignment = re.match(r"\s*([\w\-.\"' \t]+?)\s*=", line)
        if header:
            table = _dotted(header[1])
            if table[: len(key)] == key:
                return number
        elif assignment:
            path = [*table, *_dotted(assignment[1])]
            if path[: len(key)] == key[: len(path)]:
                return number
    return 0


def _dotted(name: str) -> list[str]:
    return [part.strip(" \t\"'") for part in name.split(".")]


def _nearest_hint(key: str, show: Callable[[str], str]) -> str:
    """Name the setting that an unknown key is most similar to, or else all settings."""
    import difflib  # only for errors

    matches = difflib.get_close_matches(key.lower(), list(SCHEMA), n=1, cutoff=0.5)
    if matches:
        return f"The nearest is {show(matches[0])}."
    return f"The settings are {', '.join(SCHEMA)}."


def settings_text(path: Path, tracked_text: TrackedText | None) -> str:
    """Return the effective text of a settings file; empty if there is none.

    Raises ConfigError if it cannot be read.
    """
    text = tracked_text(path) if tracked_text else None
    if text is not None:
        return text
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in an unreadable folder
        return ""
    try:
        return path.read_text("utf-8-sig")  # without a byte order mark
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path} cannot be read: {exc}.", "Make it readable UTF-8 text, or remove it."
        ) from exc
