"""Runs `starcoder models`, which lists the models that are there and removes one from the cache."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_starcoder.cli.answer_terminal import read_settings
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import ConfigError, Misuse, StarcoderError, how_to_install, os_reason
from pytest_starcoder.model.backends import check_backend, make_backend
from pytest_starcoder.model.backends.choice import PACKAGED_MODELS, choose, is_model_file
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.backends.packaged_model import PackagedModel, remove, size_text
from pytest_starcoder.model.backends.prompt_states import remove_states
from pytest_starcoder.settings import Settings, cache_folder
from pytest_starcoder.text.display import printable

HELP = "List the models that are there, or remove one from the cache"


def add(parser: argparse.ArgumentParser) -> None:
    add_examples(
        parser, "[list | remove NAME]", "starcoder models", "starcoder models remove coder"
    )
    parser.add_argument(
        "action", nargs="?", choices=("list", "remove"), default="list", help="list by default"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="coder or demo")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Return 0, or raise a ConfigError for a name that is not known."""
    settings = read_settings(arguments)
    if arguments.action == "remove":
        _remove(arguments.name, cache_folder(settings))
    elif arguments.name:
        raise Misuse("`starcoder models list` takes no name.", "It lists all models.")
    else:
        _list(settings)
    return 0


# --- list ---


def _list(settings: Settings) -> None:
    check_backend(settings)
    choice = choose(settings)
    backend = choice.settings.backend
    model = choice.settings.model or "the server's only model"
    in_use = "no model" if backend == "none" else f"{model} on {backend}"
    _show("in use", f"{in_use}   ({choice.reason})")
    for packaged in PACKAGED_MODELS.values():
        _show(packaged.setting, _describe_packaged(packaged, cache_folder(settings)))
    if is_model_file(settings.model) and settings.model not in PACKAGED_MODELS:
        _show("embedded", _describe_file(Path(settings.model).expanduser()))
    if backend in ("none", "embedded", "ollama"):
        _show("Ollama", _describe_ollama(settings))
    else:
        _show("server", _describe_server(choice.settings))


def _describe_packaged(model: PackagedModel, cache: Path) -> str:
    path = model.path(cache)
    if path.is_file():
        return f"{model.name}, {size_text(path.stat().st_size)} at {path}"
    if model.is_installed():
        return f"{model.name}, installed; the first use puts {size_text(model.size)} at {path}"
    return f"{model.name}, not installed. {how_to_install(model.setting, f' ({model.terms})')}"


def _describe_file(path: Path) -> str:
    try:
        return f"{path}, {size_text(path.stat().st_size)}"
    except OSError as exc:
        return f"{path} cannot be read ({os_reason(exc)})"


def _describe_ollama(settings: Settings) -> str:
    ollama = Ollama(settings)
    try:
        models = ollama.list_models(Deadline.after(settings.timeout))
    except StarcoderError as exc:
        return exc.message
    names = ", ".join(f"{name} ({size_text(size)})" for name, size in models)
    return f"{names or 'no model'} at {ollama.place}"


def _describe_server(settings: Settings) -> str:
    try:
        backend = make_backend(settings)
    except ConfigError as exc:
        return exc.message
    try:
        deadline = Deadline.after(settings.timeout)
        model = backend.inspect(backend.identify(deadline), deadline)
    except StarcoderError as exc:
        return exc.message
    finally:
        backend.close()
    return f"{model.name} at {backend.place}, {backend.label}"


# --- remove ---


def _remove(name: str | None, cache: Path) -> None:
    model = PACKAGED_MODELS.get(name or "")
    if model is None:
        known = " or ".join(PACKAGED_MODELS)
        message = f"There is no model {name!r} to remove." if name else "No model is named."
        raise Misuse(message, f"Name {known}; Ollama's are removed with `ollama rm NAME`.")
    path = model.path(cache)
    try:
        removed = remove(model, cache)
        states = remove_states(cache)
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be removed ({os_reason(exc)}).", "Delete it yourself."
        ) from exc
    if removed:
        print(printable(f"Removed {path} ({size_text(removed)})."))
    else:
        print(printable(f"There is no {path}."))
    if states:
        print(f"Removed the saved states of prompts ({size_text(states)}).")
    if model.is_installed():
        print("Its packages are still installed. To remove them:")
        print(_uninstall_command(model.packages))


def _uninstall_command(packages: Sequence[str]) -> str:
    return f"pip uninstall {' '.join(packages)}"


def _show(label: str, text: str) -> None:
    print(f"{label:<20}{printable(text)}", flush=True)
