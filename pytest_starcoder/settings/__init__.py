"""Settings: one schema, read from the command line, the environment and three files.

Precedence, highest first: command line, environment, `.env`, the user's
`config.toml`, `[tool.starcoder]` in the project's `pyproject.toml`, defaults.
In a repository with several projects, the nearest one that sets something counts.
A tracked file, or an option in one, cannot decide where code is sent.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError, Misuse, Untrusted
from pytest_starcoder.settings.address import server_url
from pytest_starcoder.settings.config_folders import (
    cache_folder,
    is_project,
    project_root,
    settings_folders,
    user_file,
)
from pytest_starcoder.settings.schema import BACKENDS, SCHEMA, Settings, is_for_review, option_name
from pytest_starcoder.settings.sources import (
    FOREIGN_VARIABLES,
    Entry,
    TrackedText,
    read_dotenv,
    read_environment,
    read_options,
    read_toml,
    settings_text,
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
    """Return the settings in force for the project around `start`.

    `options` are those of the command line by key, and `option_files` names the repository's
    file that contains the option, if one does. `tracked_text` returns the content of a tracked
    file if another version than the current one counts.

    Raises ConfigError for an unknown key or bad value in any source, and Untrusted if a
    tracked file would decide where code is sent.
    """
    layers = [
        read_options(options or {}, option_files or {}),
        read_environment(environ),
        _nearest_dotenv(start, tracked_text),
        read_toml(user_file(), (), tracked=False),
        _nearest_table(start, tracked_text),
    ]
    # Bad values are errors even where a layer above overrides them.
    for layer in layers:
        for key, entry in layer.items():
            if key in SCHEMA:
                layer[key] = _parse(key, key, entry, "Fix or remove it.")
    # The backend comes first, because variables of other programs count for some backends only.
    backend = ChainMap(*layers).get("backend")
    for layer in layers:
        _adopt_foreign_variables(layer, backend.value if backend else Settings.backend)
    values: dict[str, Any] = {}
    sources = {}
    tracked = set()
    for key, entry in ChainMap(*layers).items():
        if entry.tracked:
            _check_trust(key, entry)
            tracked.add(key)
        values[key] = entry.value
        sources[key] = entry.source
    return Settings(**values, sources=sources, tracked=frozenset(tracked))


def _nearest_dotenv(start: Path, tracked_text: TrackedText | None) -> dict[str, Entry]:
    """Return the entries of the nearest `.env` that sets any of ours."""
    folders = settings_folders(start)
    for folder in folders:
        counts = folder == folders[-1] or is_project(folder)
        # A tracked pyproject.toml may be deleted now.
        if counts or settings_text(folder / "pyproject.toml", tracked_text):
            entries = read_dotenv(folder / ".env", tracked_text)
            if entries:
                return entries
    return {}


def _nearest_table(start: Path, tracked_text: TrackedText | None) -> dict[str, Entry]:
    """Return the entries of the nearest `pyproject.toml` that has any."""
    for folder in settings_folders(start):
        path = folder / "pyproject.toml"
        entries = read_toml(path, ("tool", "starcoder"), tracked=True, tracked_text=tracked_text)
        if entries:
            return entries
    return {}


def _adopt_foreign_variables(layer: dict[str, Entry], backend: str) -> None:
    """Replace variables of other programs by our keys, unless those are set as well."""
    for name, variable in FOREIGN_VARIABLES.items():
        entry = layer.pop(name, None)
        # With other backends the variable is not read, and its value need not be valid.
        if entry is not None and backend in variable.backends and variable.key not in layer:
            layer[variable.key] = _parse(variable.key, name, entry, "Fix or unset it.")


def _parse(key: str, name: str, entry: Entry, hint: str) -> Entry:
    """Convert the value that was set under `name`. Raises ConfigError."""
    try:
        if name == "OLLAMA_HOST":
            value: object = server_url(entry.value, lenient=True)
        else:
            value = SCHEMA[key].parse(entry.value)
    except ValueError as exc:
        error = Misuse if entry.source.startswith("--") else ConfigError
        subject = f"{entry.source}: {name}"
        if entry.source == option_name(key):
            subject = entry.source
        sentence = f"{subject} {exc}{_actual(key, entry.value)}."
        raise error(sentence, hint) from exc
    return replace(entry, value=value)


def _actual(key: str, value: object) -> str:
    """Return the end of a sentence, ", not 42"; empty if the value may contain a secret."""
    may_have_password = key == "host" and re.search("[@?#]", str(value))
    if SCHEMA[key].secret or may_have_password:
        return ""
    try:
        return f", not {one_line(repr(value), 100)}"
    except ValueError:  # a number with too many digits
        return ""


def _check_trust(key: str, entry: Entry) -> None:
    """Raise Untrusted if a tracked file may not set this value."""
    reason = SCHEMA[key].refusal(entry.value)
    if not reason:
        return
    value = ""
    if not SCHEMA[key].secret:
        value = f" = {one_line(repr(entry.value), 100)}"
    option = option_name(key)
    raise Untrusted(
        f"{entry.source}: a file tracked by git may not set {key}{value}: {reason}.",
        entry.hint.format(option=option, variable=f"STARCODER_{key.upper()}"),
    )
