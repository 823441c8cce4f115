"""Runs `starcoder doctor`, which shows the model in use, tests it and names the next step."""

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

from pytest_starcoder.cli.answer_terminal import read_settings
from pytest_starcoder.cli.options import add_settings
from pytest_starcoder.errors import ConfigError, StarcoderError, UnreadableAnswer, os_reason
from pytest_starcoder.files import replace_file
from pytest_starcoder.model.backends import check_backend, make_backend
from pytest_starcoder.model.backends.choice import Choice, choose, is_model_file
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.probe import run_probes
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.prompts import fill_format, model_family
from pytest_starcoder.settings import SCHEMA, Settings, cache_folder, project_root
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import one_line, printable

HELP = "Show which model is used, whether it answers, and what to do next"

TEST_PROMPT = "def fibonacci(n):"

PROBE_LABELS = {"sentinels": "special tokens"}
"""Labels on the terminal of probes whose name in reports is an older one."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deep",
        nargs="?",
        const="starcoder-doctor.json",
        metavar="FILE",
        help="also test what this server and its model can do, which takes a few minutes, "
        "and write the figures, without any code, to FILE (%(const)s)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the model answers, 2 if a setting cannot be used, else 1."""
    settings = read_settings(arguments)
    _show_settings(settings)
    try:
        check_backend(settings)
        choice = choose(settings)
        # Without a cache: cached answers would prove nothing.
        with Client(make_backend(choice.settings), settings) as client:
            _check_model(client, choice)
        if arguments.deep is not None:
            _run_deep_check(settings, Path(arguments.deep))
    except StarcoderError as exc:
        _show("problem", exc.message)
        _show("next", exc.hint)
        return 2 if isinstance(exc, ConfigError) else 1
    _show("next", "It works: run `pytest --starcoder-explain` in your project.")
    return 0


def _show_settings(settings: Settings) -> None:
    _show("project", str(project_root(Path.cwd())))
    for key in SCHEMA:
        if key not in settings.sources and key != "model":
            continue
        value = getattr(settings, key)
        if SCHEMA[key].secret:
            value = "(set, not shown)"
        elif value == "":
            value = "the server's only model"
        _show(key, f"{value}   ({settings.source(key)})")
    folder = cache_folder(settings)
    if settings.cache != "off" and not _is_writable(folder):
        _show("cache", f"{folder} cannot be written: nothing is cached")


def _check_model(client: Client, choice: Choice) -> None:
    backend = client.backend
    _show("server", f"{backend.label} at {backend.place}   ({choice.reason})")
    _show("version", client.version() or "unknown")
    model = client.model()
    kind = model_family(model, client.settings.family)
    _show("status", f"{model.name} is available; prompts use the {kind} format")
    holes = fill_format(model, client.settings.family)
    if holes != kind:
        _show("holes", f"are filled with the {holes} format")
    _show("window", f"{model.window} tokens")
    _show(
        "test", f"asked to continue {TEST_PROMPT!r} (slower the first time, while the model loads)"
    )
    started = time.monotonic()
    completion = client.complete(Prompt(TEST_PROMPT, max_tokens=40, chat=kind == "chat"))
    seconds = time.monotonic() - started
    if not completion.text.strip():
        raise UnreadableAnswer(
            f"{model.name} returned an empty answer.", "Choose another model, or update the server."
        )
    _show("answer", one_line(completion.text, 100))
    tokens = completion.completion_tokens
    speed = tokens / max(seconds, 0.001)
    _show("speed", f"{tokens} tokens in {seconds:.1f} s, {speed:.1f} a second, including loading")


def _run_deep_check(settings: Settings, file: Path) -> None:
    """Run every probe, and write the results as they come.

    Answers are reproducible at temperature 0; the limits allow for a machine without a GPU.
    """
    settings = replace(
        settings,
        temperature=0.0,
        timeout=max(600.0, settings.timeout),
        first_token_timeout=max(180.0, settings.first_token_timeout),
        session_timeout=max(3600.0, settings.session_timeout),
    )
    _show("deep", "a few questions per check; without a GPU this takes minutes")
    probes: list[dict[str, object]] = []
    with Client(make_backend(settings), settings) as client:
        report = _environment(client) | {"probes": probes}
        # Also before the first probe: a file that cannot be written is no surprise at the end.
        _write_report(report, file)
        for result in run_probes(client):
            label = PROBE_LABELS.get(result.name, result.name)
            _show(label, f"{result.verdict}: {result.summary}")
            figures = dict(result.figures)
            probes.append({"name": result.name, "verdict": result.verdict, "figures": figures})
            _write_report(report, file)
    _show("report", f"{file}; it contains no code: please attach it to an issue")


def _write_report(report: dict[str, object], file: Path) -> None:
    try:
        content = (json.dumps(report, indent=2) + "\n").encode("utf-8")
        replace_file(file, content, find_repository(file.absolute().parent))
    except OSError as exc:
        raise ConfigError(
            f"{file} cannot be written: {os_reason(exc)}.",
            "Name another file with --deep=FILE.",
        ) from exc


def _environment(client: Client) -> dict[str, object]:
    """Describe the machine, the server and the model, without addresses and paths."""
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
        "model": _public_name(model.name),
        "architecture": model.architecture,
        "family": model_family(model, client.settings.family),
        "fill": model.fill,
        "window": model.window,
    }


def _public_name(name: str) -> str:
    """Return a model's name without folders of this machine, or the registry it comes from."""
    *folders, last = name.replace("\\", "/").split("/")
    # A path begins with the home folder, a dot, the root or a drive of Windows.
    is_path = folders and re.match(r"[~.]|$|[A-Za-z]:$", folders[0])
    if not folders or is_path or is_model_file(name):
        return last
    owner = folders[-1]
    is_registry = re.search(r"[.:]", owner)
    return last if is_registry else f"{owner}/{last}"


def _is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, or the folder itself if it is missing."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _show(label: str, text: str) -> None:
    print(f"{label:<20}{printable(text)}", flush=True)
