"""Where settings stand: options, variables and files, each value with its source; nothing is judged here but keys."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.interpreter import installed
from pytest_starcoder.settings.schema import SCHEMA
from pytest_starcoder.source.git.tracking import is_tracked, is_versioned
from pytest_starcoder.text.display import one_line

HF_TOKENS = ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN")

FOREIGN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "OLLAMA_HOST": ("host", ("auto", "ollama")),
    **dict.fromkeys(HF_TOKENS, ("hf_token", ("huggingface",))),
}
"""Variables of other programs: the key that each stands for, and the backends that read it; the earlier one wins."""


SET_IT = (
    "Set it with {option}, {variable}, a .env that git does not track, or your own config.toml."
)
UNTRACK_IT = SET_IT.replace("does not track", "does not track (`git rm --cached .env`)")
WITHOUT_GIT = "Set it with {option}, {variable} or your own config.toml: without git, .env counts as part of the project."
OPTION_HINT = "Remove it there, or pass {option} on the command line or in PYTEST_ADDOPTS."
"""Hints for a value in a place where it is not allowed."""


@dataclass(frozen=True)
class Entry:
    """A value and its source; `hint` applies if a file of the repository may not set it."""

    value: Any = field(repr=False)  # it may be a key
    source: str
    tracked: bool
    hint: str = SET_IT


def command_line(options: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Entry]:
    """Return the given options by key; `files` names the repository file that sets each."""
    entries = {}
    for key, value in options.items():
        option = f"--starcoder-{key.replace('_', '-')}"
        if key in files:
            entries[key] = Entry(value, f"{files[key]}, {option}", tracked=True, hint=OPTION_HINT)
        else:
            entries[key] = Entry(value, option, tracked=False)
    return entries


def environment(environ: Mapping[str, str]) -> dict[str, Entry]:
    """The variables of the environment."""
    return dict(_variables(environ, lambda name: name, tracked=False))


TrackedText = Callable[[Path], str | None]
"""Gives the text of a file that git tracks as it counts, "" where there is none, and None where its own text counts."""


def dotenv(path: Path, tracked_text: TrackedText | None = None) -> dict[str, Entry]:
    """What a `.env` sets; ConfigError for a line of ours that cannot be read."""
    text = text_of(path, tracked_text)
    if not any(name in text for name in ("STARCODER_", *FOREIGN)):
        return {}
    with installed("dotenv"):
        from dotenv import dotenv_values

    tracked = is_tracked(path)
    hint = UNTRACK_IT if is_versioned(path) else WITHOUT_GIT
    # ${NAME} reads the environment, keys included: no file of the repository's shall.
    found = dotenv_values(stream=io.StringIO(text), interpolate=not tracked)
    lines = _variable_lines(text)
    for name, line in lines.items():
        # python-dotenv skips a line that it cannot read; a token of other programs' is theirs to complain about.
        if found.get(name) is None and name not in HF_TOKENS:
            raise ConfigError(
                f"{path.name}, line {line}: {name} has no value that can be read.",
                "Write NAME=value.",
            )

    def source(name: str) -> str:
        line = f", line {lines[name]}" if name in lines else ""
        return f"{path.name}{line} ({name})"

    values = {name: value for name, value in found.items() if value is not None}
    return dict(_variables(values, source, tracked=tracked, hint=hint))


def _variable_lines(text: str) -> dict[str, int]:
    """The line of each variable of ours in a `.env`; of two for one name the last, whose value holds."""
    ours = re.compile(rf"\s*(?:export\s+)?['\"]?(STARCODER_\w+|(?:{'|'.join(FOREIGN)})\b)")
    found = ((ours.match(line), number) for number, line in enumerate(text.split("\n"), 1))
    return {match[1]: number for match, number in found if match}


def _variables(
    values: Mapping[str, str], source: Callable[[str], str], *, tracked: bool, hint: str = SET_IT
) -> Iterator[tuple[str, Entry]]:
    """The settings among variables; an empty variable is an unset one."""
    for name, value in values.items():
        if name in FOREIGN and value.strip(" \t\"'"):
            yield name, Entry(value, source(name), tracked, hint)
        elif name.startswith("STARCODER_") and value:
            key = name.removeprefix("STARCODER_").lower()
            if key not in SCHEMA:
                nearest = _nearest(key)
                raise ConfigError(
                    f"{one_line(source(name), 120)}: there is no such setting.",
                    f"The nearest is STARCODER_{nearest.upper()}." if nearest else _all_keys(),
                )
            yield key, Entry(value, source(name), tracked, hint)


def toml(
    path: Path, table: tuple[str, ...], *, tracked: bool, tracked_text: TrackedText | None = None
) -> dict[str, Entry]:
    """What the table of that name in a TOML file sets; an empty name is the whole file."""
    text = text_of(path, tracked_text)
    if not text:
        return {}
    shown = path.name if tracked else str(path)
    try:
        import tomllib

        content: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # ValueError: also a number with too many digits
        raise ConfigError(f"{shown} is not valid TOML: {exc}.", "Mend that line.") from exc
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise ConfigError(
            f"{shown}: {'.'.join(table)} is not a table.", f"Write it as [{'.'.join(table)}]."
        )
    entries = {}
    for key, value in content.items():
        line = _toml_line(text, [*table, key])
        source = f"{shown}, line {line}" if line else shown
        if key not in SCHEMA:
            nearest = _nearest(key)
            hint = f"The nearest is {nearest!r}." if nearest else _all_keys()
            if not table and key in ("tool", "starcoder"):
                hint = "In this file the settings stand at the top, without a table."
            raise ConfigError(f"{source}: there is no setting {one_line(repr(key), 80)}.", hint)
        entries[key] = Entry(value, source, tracked)
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


def _nearest(key: str) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(key.lower(), list(SCHEMA), n=1, cutoff=0.5)), "")


def _all_keys() -> str:
    return f"The settings are {', '.join(SCHEMA)}."


def text_of(path: Path, tracked_text: TrackedText | None) -> str:
    """Return the effective text of a settings file; empty if there is none."""
    told = tracked_text(path) if tracked_text else None
    return _read(path) if told is None else told


def _read(path: Path) -> str:
    """The text of a file without its byte order mark; empty where there is no such file."""
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in a folder that may not be entered
        return ""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path} cannot be read: {exc}.", "Make it readable UTF-8 text, or remove it."
        ) from exc
