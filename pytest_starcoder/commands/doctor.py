"""`starcoder doctor`: which model would be asked and why, whether it answers, and what to do next."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from pytest_starcoder.backends import is_model_file, make_backend
from pytest_starcoder.client import Client
from pytest_starcoder.errors import ConfigError, StarcoderError, UnreadableAnswer
from pytest_starcoder.prompts import family
from pytest_starcoder.settings import SCHEMA, Settings, cache_folder, load_settings, project_root
from pytest_starcoder.text.display import one_line, printable
from pytest_starcoder.values import Prompt

HELP = "Say which model would be asked, whether it answers, and what to do next"

TEST = "def fibonacci(n):"
"""What the test completion continues."""


def add(parser: argparse.ArgumentParser) -> None:
    for key, entry in SCHEMA.items():
        parser.add_argument(f"--starcoder-{key.replace('_', '-')}", dest=key, metavar="VALUE", help=entry.help)


def run(arguments: argparse.Namespace) -> int:
    """0 if the model answers, 2 if what is set cannot be used, else 1."""
    given = {key: value for key in SCHEMA if (value := getattr(arguments, key)) is not None}
    settings = load_settings(Path.cwd(), given)
    _say("project", str(project_root(Path.cwd())))
    for key in SCHEMA:
        if key in settings.sources or key == "model":
            shown = "(set, not shown)" if SCHEMA[key].secret else getattr(settings, key)
            _say(key, f"{shown}   ({settings.source(key)})")
    if settings.cache != "off" and not _writable(cache_folder(settings)):
        _say("cache", f"{cache_folder(settings)} cannot be written: nothing is remembered")
    try:
        # Without a cache: answers from memory would prove nothing.
        with Client(make_backend(settings), settings) as client:
            return _examine(client)
    except StarcoderError as exc:
        _say("problem", exc.message)
        _say("next", exc.hint)
        return 2 if isinstance(exc, ConfigError) else 1


def _examine(client: Client) -> int:
    _say("asks", f"{client.backend.label} at {client.backend.place}   ({_reason(client.settings)})")
    _say("version", client.version() or "not told")
    model = client.model()
    _say("model", f"{model.name}, there; prompts in the form of the family {family(model, client.settings.family)}")
    _say("window", f"{model.window} tokens")
    _say("test", f"asked to continue {TEST!r}; a model that is not loaded yet takes its time")
    started = time.monotonic()
    completion = client.complete(Prompt(TEST, max_tokens=40))
    seconds = time.monotonic() - started
    if not completion.text.strip():
        raise UnreadableAnswer(f"{model.name} answered with nothing.", "Choose another model, or update the server.")
    _say("answer", one_line(completion.text, 100))
    speed = completion.completion_tokens / max(seconds, 0.001)
    _say("speed", f"{completion.completion_tokens} tokens in {seconds:.1f} s, {speed:.1f} a second, loading included")
    _say("next", "It works: run `pytest --starcoder-explain` in your project.")
    return 0


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _reason(settings: Settings) -> str:
    if settings.backend != "auto":
        return f"backend is {settings.backend}: {settings.source('backend')}"
    if is_model_file(settings.model):
        return "backend is auto, and the model is a file"
    return "backend is auto: Ollama, unless the model is a file"


def _say(label: str, text: str) -> None:
    print(f"{label:<20}{printable(text)}", flush=True)
