"""`starcoder doctor`: what would be asked and why, whether it answers, and what to do next."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from pytest_starcoder.backends import is_model_file
from pytest_starcoder.client import Client
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.prompts import family
from pytest_starcoder.settings import SCHEMA, Settings, load_settings, project_root
from pytest_starcoder.text.display import one_line
from pytest_starcoder.values import Prompt

HELP = "Say what would be asked, whether it answers, and what to do next"

TEST = "def fibonacci(n):\n"
"""What the test completion continues."""


def add(parser: argparse.ArgumentParser) -> None:
    for key, entry in SCHEMA.items():
        parser.add_argument(f"--starcoder-{key.replace('_', '-')}", dest=key, metavar="VALUE", help=entry.help)


def run(arguments: argparse.Namespace) -> int:
    """0 if the model answers, else 1."""
    given = {key: value for key in SCHEMA if (value := getattr(arguments, key)) is not None}
    settings = load_settings(Path.cwd(), given)
    _say("project", str(project_root(Path.cwd())))
    for key in SCHEMA:
        if key in settings.sources:
            shown = "(set, not shown)" if key == "api_key" else getattr(settings, key)
            _say(key, f"{shown}   ({settings.source(key)})")
    try:
        # Answers from memory would prove nothing.
        with Client.from_settings(replace(settings, cache="off")) as client:
            return _examine(client, settings)
    except StarcoderError as exc:
        _say("problem", exc.message)
        _say("next", exc.hint)
        return 1


def _examine(client: Client, settings: Settings) -> int:
    backend = client.backend
    _say("asks", f"{backend.label} at {backend.place}   ({_reason(settings)})")
    _say("version", client.version() or "not told")
    model = client.model()
    _say("model", f"{model.name}, there; prompts in the form of the family {family(model, settings.family)}")
    _say("window", f"{model.window} tokens")
    started = time.monotonic()
    completion = client.complete(Prompt(TEST, stop=("\n\n",), max_tokens=40))
    seconds = time.monotonic() - started
    speed = completion.completion_tokens / max(seconds, 0.001)
    _say("test", f"{completion.completion_tokens} tokens in {seconds:.1f} s, {speed:.1f} a second, loading included")
    _say("", one_line(TEST + completion.text, 100))
    _say("next", "It works: run `pytest --starcoder-explain` in your project.")
    return 0


def _reason(settings: Settings) -> str:
    if settings.backend != "auto":
        return f"backend is {settings.backend}: {settings.source('backend')}"
    if is_model_file(settings.model):
        return "backend is auto, and the model is a file"
    return "backend is auto: Ollama, unless the model is a file"


def _say(label: str, text: str) -> None:
    print(f"{label:<20}{text}")
