"""Changes the user's own `config.toml`, and keeps its comments and layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.errors import ConfigError, os_reason
from pytest_starcoder.files import replace_file
from pytest_starcoder.settings.config_folders import user_file

BYTE_ORDER_MARK = "\ufeff"
"""Editors on Windows put it first."""


def write_user_settings(values: Mapping[str, str]) -> Path:
    """Set `values` in the user's `config.toml`, and return its path; the rest stays as it is.

    Links are followed, and the file keeps its mode. Raises ConfigError.
    """
    path = user_file()
    try:
        text = path.read_bytes().decode() if path.is_file() else ""
        content = _edited(text, values).encode()
        if path.exists():
            replace_file(path, content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(content)
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written ({os_reason(exc)}).", _by_hand(values)
        ) from exc
    except ValueError as exc:  # not UTF-8, or not TOML
        raise ConfigError(f"{path} cannot be read: {exc}.", _by_hand(values)) from exc
    return path


def toml_line(key: str, value: str) -> str:
    """Return the line of TOML that sets a key."""
    import tomlkit  # only this command needs it

    return f"{key} = {tomlkit.item(value).as_string()}"


def _edited(text: str, values: Mapping[str, str]) -> str:
    import tomlkit

    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    document = tomlkit.parse(text.removeprefix(mark))
    for key, value in values.items():
        document[key] = value
    edited = tomlkit.dumps(document)
    if "\r\n" in text:
        edited = edited.replace("\r\n", "\n").replace("\n", "\r\n")
    return mark + edited


def _by_hand(values: Mapping[str, str]) -> str:
    lines = " and ".join(f"`{toml_line(key, value)}`" for key, value in values.items())
    return f"Write {lines} into it yourself."
