"""`starcoder doctor`: which model would be asked and why, whether it answers, and what to do next."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pytest_starcoder.cli.model_session import read_settings
from pytest_starcoder.cli.options import add_settings
from pytest_starcoder.errors import ConfigError, StarcoderError, UnreadableAnswer
from pytest_starcoder.files import replace_file
from pytest_starcoder.model.backends import is_model_file, make_backend
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.probe import probe
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.prompts import family
from pytest_starcoder.settings import SCHEMA, Settings, cache_folder, project_root
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import one_line, printable

HELP = "Say which model would be asked, whether it answers, and what to do next"

TEST = "def fibonacci(n):"
"""What the test completion continues."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deep",
        nargs="?",
        const="starcoder-doctor.json",
        metavar="FILE",
        help="also prove on this server what could only be read about it, for some minutes, "
        "and write the figures, without any code, to FILE (%(const)s)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 if the model answers, 2 if what is set cannot be used, else 1."""
    settings = read_settings(arguments)
    _say("project", str(project_root(Path.cwd())))
    for key in SCHEMA:
        if key in settings.sources or key == "model":
            shown = "(set, not shown)" if SCHEMA[key].secret else getattr(settings, key)
            _say(
                key,
                f"{'the one that the server has' if shown == '' else shown}   ({settings.source(key)})",
            )
    if settings.cache != "off" and not _writable(cache_folder(settings)):
        _say("cache", f"{cache_folder(settings)} cannot be written: nothing is remembered")
    try:
        # Without a cache: answers from memory would prove nothing.
        with Client(make_backend(settings), settings) as client:
            _examine(client)
        if arguments.deep is not None:
            _prove(settings, Path(arguments.deep))
    except StarcoderError as exc:
        _say("problem", exc.message)
        _say("next", exc.hint)
        return 2 if isinstance(exc, ConfigError) else 1
    _say("next", "It works: run `pytest --starcoder-explain` in your project.")
    return 0


def _examine(client: Client) -> None:
    _say("asks", f"{client.backend.label} at {client.backend.place}   ({_reason(client.settings)})")
    _say("version", client.version() or "not told")
    model = client.model()
    kind = family(model, client.settings.family)
    _say("model", f"{model.name}, there; prompts in the form of the family {kind}")
    _say("window", f"{model.window} tokens")
    _say("test", f"asked to continue {TEST!r}; a model that is not loaded yet takes its time")
    started = time.monotonic()
    completion = client.complete(Prompt(TEST, max_tokens=40, chat=kind == "chat"))
    seconds = time.monotonic() - started
    if not completion.text.strip():
        raise UnreadableAnswer(
            f"{model.name} answered with nothing.", "Choose another model, or update the server."
        )
    _say("answer", one_line(completion.text, 100))
    speed = completion.completion_tokens / max(seconds, 0.001)
    _say(
        "speed",
        f"{completion.completion_tokens} tokens in {seconds:.1f} s, {speed:.1f} a second, loading included",
    )


def _prove(settings: Settings, file: Path) -> None:
    """Runs every probe, at a temperature and under limits of its own, and writes to `file` what was found so far."""
    patience = {"timeout": 600.0, "first_token_timeout": 180.0, "session_timeout": 3600.0}
    longer = {name: max(seconds, getattr(settings, name)) for name, seconds in patience.items()}
    unhurried = replace(settings, temperature=0.0, **longer)
    _say("deep", "a few questions each; on a machine without a GPU this takes minutes")
    found: list[dict[str, object]] = []
    with Client(make_backend(unhurried), unhurried) as client:
        report = _about(client) | {"probes": found}
        _write(report, file)
        for result in probe(client):
            _say(result.name, f"{result.verdict}: {result.told}")
            found.append(
                {"name": result.name, "verdict": result.verdict, "figures": dict(result.figures)}
            )
            _write(report, file)
    _say("report", f"{file}; there is no code in it: please attach it to an issue")


def _write(report: dict[str, object], file: Path) -> None:
    try:
        content = (json.dumps(report, indent=2) + "\n").encode("utf-8")
        replace_file(file, content, find_repository(file.absolute().parent))
    except OSError as exc:
        raise ConfigError(
            f"{file} cannot be written: {exc.strerror or exc}.", "Name another with --deep=FILE."
        ) from exc


def _about(client: Client) -> dict[str, object]:
    """Which machine, server and model it was, without addresses and paths."""
    model = client.model()
    return {
        "format": 1,
        "pytest_starcoder": version("pytest-starcoder"),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "backend": client.settings.backend,
        "server": client.backend.label,
        "version": client.version(),
        "model": _public(model.name),
        "architecture": model.architecture,
        "family": family(model, client.settings.family),
        "window": model.window,
    }


def _public(name: str) -> str:
    """A model's name without the folders of this machine, or the registry, that it may come from."""
    *folders, last = name.replace("\\", "/").split("/")
    there = is_model_file(name) or not folders or re.match(r"[~.]|$|[A-Za-z]:$", folders[0])
    owner = "" if there or re.search(r"[.:]", folders[-1]) else f"{folders[-1]}/"
    return f"{owner}{last}"


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
