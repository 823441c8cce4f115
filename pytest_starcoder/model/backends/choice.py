"""The choice of a model where the backend is `auto`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.demo_model import DEMO
from pytest_starcoder.settings import Settings

MAX_SECONDS = 5.0
"""Maximum time that Ollama may take to list its models, before another model is chosen."""

PACKAGED_MODELS = {model.setting: model for model in (CODER, DEMO)}
"""The models that extras install, by the setting `model`."""


@dataclass(frozen=True)
class Choice:
    """Settings whose backend is not `auto`, and the reason for a person.

    `fallback` says why Ollama is not used although nothing else was set; empty if it is not so.
    """

    settings: Settings
    reason: str
    fallback: str = ""


def choose(settings: Settings) -> Choice:
    """Return the backend and the model to use.

    Ollama is asked which models it has only if there is another choice: neither a model nor a
    host is set, and the extra `coder` is installed.
    """
    if settings.backend != "auto":
        return Choice(settings, f"backend is {settings.backend}: {settings.source('backend')}")
    if is_model_file(settings.model):
        embedded = replace(settings, backend="embedded")
        return Choice(embedded, "backend is auto, and the model is a file")
    ollama = replace(settings, backend="ollama")
    if is_model_set(settings) or settings.host or not is_coder_installed():
        return Choice(ollama, "backend is auto: Ollama, unless the model is a file")
    problem = _problem_of_ollama(ollama)
    if not problem:
        return Choice(ollama, f"backend is auto, and Ollama has {settings.model}")
    return Choice(
        replace(settings, backend="embedded", model=CODER.setting),
        f"backend is auto, and the extra coder is installed. {problem}",
        problem,
    )


def is_model_file(model: str) -> bool:
    """Return whether the embedded engine runs `model`: a path, a packaged model's name."""
    is_path = model.startswith(("/", "./", "../", "~"))
    return model in PACKAGED_MODELS or is_path or model.lower().endswith(".gguf")


def model_name(settings: Settings) -> str:
    """Return the name of the model by the settings alone, without asking a server."""
    packaged = PACKAGED_MODELS.get(settings.model)
    return packaged.name if packaged else settings.model


def is_coder_installed() -> bool:
    """Return whether the extra `coder` is installed, with the engine."""
    return find_spec("xllamacpp") is not None and CODER.is_installed()


def is_model_set(settings: Settings) -> bool:
    """Return whether the user chose a model; a default is none."""
    return "model" in settings.sources or settings.model != Settings().model


def _problem_of_ollama(settings: Settings) -> str:
    """Return why Ollama cannot be used, empty if it has the model."""
    from pytest_starcoder.model.backends.ollama import Ollama

    try:
        Ollama(settings).identify(Deadline.after(min(MAX_SECONDS, settings.timeout)))
    except StarcoderError as exc:
        return exc.message
    return ""
