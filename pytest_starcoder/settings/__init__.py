"""One schema, one place a key: from the command line, the environment and three files to `Settings`.

Precedence, first wins: command line, environment, `.env`, the user's
`config.toml`, `[tool.starcoder]` in the project's `pyproject.toml`, defaults.
In a repository with several projects, the nearest one that sets something counts.
A tracked file, or an option in one, cannot decide where code is sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_starcoder.errors import ConfigError, Misuse, Untrusted
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.settings.places import (
    cache_folder,
    is_project,
    project_root,
    settings_folders,
    user_file,
)
from pytest_starcoder.settings.schema import BACKENDS, SCHEMA, Settings, is_for_review
from pytest_starcoder.settings.sources import (
    FOREIGN,
    Entry,
    TrackedText,
    command_line,
    dotenv,
    environment,
    text_of,
    toml,
)
from pytest_starcoder.text.display import one_line

__all__ = [
    "BACKENDS",
    "SCHEMA",
    "Settings",
    "cache_folder",
    "is_for_review",
    "load_settings",
    "project_root",
    "user_file",
]


def load_settings(
    start: Path,
    options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    tracked_text: TrackedText | None = None,
    option_files: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force for the project around `start`.

    `options` are the command line's, by key; `option_files` names the file of
    the repository that a key's option stands in, where it stands in one. Of a file that git tracks
    `tracked_text` gives the content that counts, where that is not what lies there now. Raises ConfigError for a key or
    value that cannot be used, wherever it stands, and Untrusted where a file
    that git tracks would decide where code is sent.
    """
    layers = [
        command_line(options or {}, option_files or {}),
        environment(environ),
        _nearest_dotenv(start, tracked_text),
        toml(user_file(environ), (), tracked=False),
        _nearest_table(start, tracked_text),
    ]
    layers = [{key: _parsed(key, entry) for key, entry in layer.items()} for layer in layers]
    backend = next(
        (layer["backend"].value for layer in layers if "backend" in layer), Settings.backend
    )
    chosen: dict[str, Entry] = {}
    for layer in reversed(layers):
        for name, (key, backends) in FOREIGN.items():
            entry = layer.pop(name, None)
            if entry is not None and key not in layer and backend in backends:
                layer[key] = _adopted(name, key, entry)
        chosen.update(layer)
    for key, entry in chosen.items():
        if entry.tracked:
            _refuse_outside(key, entry)
    return Settings(
        **{key: entry.value for key, entry in chosen.items()},
        sources={key: entry.source for key, entry in chosen.items()},
        tracked=frozenset(key for key, entry in chosen.items() if entry.tracked),
    )


def _nearest_dotenv(start: Path, tracked_text: TrackedText | None) -> dict[str, Entry]:
    """Return the entries of the nearest `.env` that sets any of ours."""
    folders = settings_folders(start)
    for folder in folders:
        in_force = is_project(folder) or text_of(folder / "pyproject.toml", tracked_text)
        if in_force or folder == folders[-1]:
            entries = dotenv(folder / ".env", tracked_text)
            if entries:
                return entries
    return {}


def _nearest_table(start: Path, tracked_text: TrackedText | None) -> dict[str, Entry]:
    """Return the entries of the nearest `pyproject.toml` that has any: an empty one is skipped."""
    for folder in settings_folders(start):
        path = folder / "pyproject.toml"
        entries = toml(path, ("tool", "starcoder"), tracked=True, tracked_text=tracked_text)
        if entries:
            return entries
    return {}


def _parsed(key: str, entry: Entry) -> Entry:
    """The entry with its value as the key wants it; raises ConfigError for one that the key cannot have."""
    if key in FOREIGN:  # read where it is used: with another backend it is nobody's business
        return entry
    try:
        return replace(entry, value=SCHEMA[key].parse(entry.value))
    except ValueError as exc:
        kind = Misuse if entry.source.startswith("--") else ConfigError
        raise kind(
            f"{entry.source}: {key} {exc}{_not(key, entry.value)}.", "Fix or remove it."
        ) from exc


def _adopted(name: str, key: str, entry: Entry) -> Entry:
    """The entry of another program's variable as `key` wants it; Ollama forgives a port that is none."""
    try:
        value = (
            server_url(entry.value, lenient=True)
            if key == "host"
            else SCHEMA[key].parse(entry.value)
        )
    except ValueError as exc:
        raise ConfigError(
            f"{entry.source}: {name} {exc}{_not(key, entry.value)}.", "Mend or unset it."
        ) from exc
    return replace(entry, value=value)


def _not(key: str, value: object) -> str:
    """', not 42', as the end of a sentence on a value; empty where the value is or may hold a secret."""
    if SCHEMA[key].secret or (key == "host" and re.search("[@?#]", str(value))):
        return ""
    try:
        return f", not {one_line(repr(value), 100)}"
    except ValueError:  # of a number with too many digits
        return ""


def _refuse_outside(key: str, entry: Entry) -> None:
    reason = SCHEMA[key].outside(entry.value)
    if reason:
        shown = "" if SCHEMA[key].secret else f" = {one_line(repr(entry.value), 100)}"
        option, variable = f"--starcoder-{key.replace('_', '-')}", f"STARCODER_{key.upper()}"
        raise Untrusted(
            f"{entry.source}: a file that belongs to the repository may not set {key}{shown}: {reason}.",
            entry.hint.format(option=option, variable=variable),
        )
