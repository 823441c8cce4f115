"""Starts the embedded engine before the first question, so that it has loaded the model then."""

from __future__ import annotations

import socket
from dataclasses import replace
from importlib.util import find_spec
from urllib.parse import urlsplit

from pytest_starcoder.model.backends.choice import (
    PACKAGED_MODELS,
    is_coder_installed,
    is_model_file,
    is_model_set,
)
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.embedded import Embedded
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import Settings, cache_folder
from pytest_starcoder.settings.address import is_loopback, server_url

CONNECT_SECONDS = 0.2


class WarmEngine:
    """An engine that loads its model. Close it, also if it is never used."""

    def __init__(self, backend: Embedded, settings: Settings) -> None:
        self._backend = backend
        self._settings = settings

    @classmethod
    def start(cls, settings: Settings) -> WarmEngine | None:
        """Start the engine that `settings` will most likely choose; None if it is none.

        Returns at once, and asks no server. Raises a StarcoderError or OSError.
        """
        likely = likely_settings(settings)
        if likely is None or not _is_quick(likely):
            return None
        backend = Embedded(likely)
        backend.warm_up()
        return cls(backend, likely)

    def make_client(self, settings: Settings) -> Client:
        """Make a client of `settings`; it uses this engine if that is the one they choose."""
        client = Client.from_settings(settings)
        if client.settings == self._settings:
            client.backend = self._backend
        return client

    def close(self) -> None:
        self._backend.close()


def likely_settings(settings: Settings) -> Settings | None:
    """Return the settings that `choose` will return, if they are those of the embedded engine."""
    if find_spec("xllamacpp") is None:
        return None
    if settings.backend == "embedded":
        return settings
    if settings.backend != "auto":
        return None
    if is_model_file(settings.model):
        return replace(settings, backend="embedded")
    if is_model_set(settings) or settings.host or not is_coder_installed():
        return None
    if _listens(server_url("127.0.0.1:11434")):
        return None  # Ollama, it seems
    return replace(settings, backend="embedded", model=CODER.setting)


def _is_quick(settings: Settings) -> bool:
    """Return whether the model's file is there: to join and check it would delay the tests."""
    packaged = PACKAGED_MODELS.get(settings.model)
    return packaged is None or packaged.was_checked(cache_folder(settings))


def _listens(url: str) -> bool:
    """Return whether something listens at a URL of this machine, or could elsewhere."""
    if not is_loopback(url):
        return True
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port), CONNECT_SECONDS):
            return True
    except OSError:
        return False
