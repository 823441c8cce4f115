"""llama.cpp without a server to install: `engine.py` in a child process, asked over HTTP.

The child listens on loopback under a random key and ends with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
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
from pytest_starcoder.model.backends.choice import PACKAGED_MODELS
from pytest_starcoder.model.backends.cpu_cores import count_cores
from pytest_starcoder.model.backends.gguf_metadata import read_texts
from pytest_starcoder.model.backends.http import digest, timeout_hint
from pytest_starcoder.model.backends.hub_models import HUB_MODELS, pulled_file
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.backends.packaged_model import assemble
from pytest_starcoder.model.backends.prompt_states import (
    PromptMemory,
    PromptStates,
    states_folder,
)
from pytest_starcoder.model.model_name import is_instruct_name
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings, cache_folder
from pytest_starcoder.text.display import counted

WINDOW = 4096
"""Tokens that the engine has room for, unless the model's own window is smaller."""

_INSTRUCT_KEYS = frozenset({"general.finetune", "general.name", "tokenizer.chat_template"})

_SET_MODEL = "Set model to the path of a .gguf file."


@dataclass(frozen=True)
class Hardware:
    """The hardware that an engine runs on.

    `gpu_layers` is the setting, `gpus` are the names of those that llama.cpp can use, and
    `system` is its description of the instruction sets it uses.
    """

    threads: int
    gpu_layers: str
    gpus: tuple[str, ...]
    system: str

    def describe(self) -> str:
        """Return what runs where, for a person."""
        threads = counted(self.threads, "thread")
        if not self.gpus:
            return f"{threads}, on the CPU: llama.cpp finds no GPU"
        if self.gpu_layers == "0":
            return f"{threads}, on the CPU: gpu_layers is 0"
        return f"{threads}; GPU layers: {self.gpu_layers}, on {', '.join(self.gpus)}"

    def instruction_sets(self) -> str:
        """Return the instruction sets that llama.cpp uses, empty if it does not say."""
        return ", ".join(re.findall(r"(\w+) = 1\b", self.system))


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Embedded | None:
    return Embedded(settings) if name == "embedded" else None


class Embedded:
    """The GGUF file `settings.model`, a model that an extra installs, or one that was pulled.

    The engine starts with the first use.
    """

    label = "the embedded llama.cpp"

    def __init__(self, settings: Settings) -> None:
        packaged = PACKAGED_MODELS.get(settings.model)
        if find_spec("xllamacpp") is None:
            extra = packaged.extra if packaged else "embedded"
            raise MissingExtra("The embedded backend is not installed.", how_to_install(extra))
        self._settings = settings
        self._file = model_file(settings)
        self._name = packaged.name if packaged else self._file.name
        self.place = str(self._file)
        self._engine: subprocess.Popen[str] | None = None
        self._key = ""
        self._server: LlamaCpp | None = None
        self._hardware: Hardware | None = None
        self._states: PromptStates | None = None
        self._memory: PromptMemory | None = None

    def identify(self, deadline: Deadline) -> str:
        return self._digest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        model = self._running_server(deadline).inspect(digest, deadline)
        is_chat = model.chat or follows_instructions(self._file)
        return replace(model, name=self._name, chat=is_chat)

    def count(self, text: str, deadline: Deadline) -> int:
        return self._running_server(deadline).count(text, deadline)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        server = self._running_server(deadline)
        if self._memory is None:
            return server.complete(prompt, model, deadline, on_text)
        self._memory.prepare(prompt)
        completion = server.complete(prompt, model, deadline, on_text)
        self._memory.add(completion)
        return completion

    def version(self, deadline: Deadline) -> str:
        return _version()

    def close(self) -> None:
        try:
            if self._memory is not None:
                self._memory.save()
        finally:
            self._end()

    def _end(self) -> None:
        self._server = self._memory = None
        if self._engine is not None:
            self._engine.kill()
            self._engine.communicate()
            self._engine = None

    def warm_up(self) -> None:
        """Begin to load the model; the first question waits for it. Raises OSError."""
        if self._engine is None:
            self._engine = self._launch()

    def hardware(self, deadline: Deadline) -> Hardware:
        """Return what the engine runs on."""
        self._running_server(deadline)
        assert self._hardware is not None
        return self._hardware

    def _running_server(self, deadline: Deadline) -> LlamaCpp:
        if self._server is None:
            self._server = LlamaCpp(
                self._start(deadline),
                self._settings,
                self._key,
                label=self.label,
                start="The engine has ended, perhaps for lack of memory: "
                "try again, or use a smaller model.",
            )
            if self._states is not None:
                self._memory = PromptMemory(self._states, self._server)
        return self._server

    def _start(self, deadline: Deadline) -> str:
        """Return the URL of the engine once it has loaded the model."""
        self.warm_up()
        assert self._engine is not None
        answer = _first_line(self._engine, deadline)
        if answer:
            started = json.loads(answer)
            self._hardware = Hardware(
                self._threads(),
                str(self._settings.gpu_layers),
                tuple(started["gpus"]),
                started["system"],
            )
            return str(started["url"])
        # The engine has ended without an answer, by itself or killed at the deadline.
        self._end()
        if deadline.remaining() <= 0:
            raise BackendTimeout(
                f"The embedded llama.cpp did not load {self._file.name} "
                f"within {deadline.limit:.3g} s.",
                timeout_hint(deadline),
            )
        raise BackendUnavailable(
            f"The embedded llama.cpp cannot load {self._file}.",
            "Is the file complete, and does llama.cpp support it? Updating xllamacpp may help.",
        )

    def _launch(self) -> subprocess.Popen[str]:
        """Start the engine and send it its order."""
        if self._settings.cache != "off":
            folder = states_folder(cache_folder(self._settings))
            self._states = PromptStates(folder, self._digest())
        self._key = secrets.token_urlsafe(32)
        # A Ctrl-C in the terminal is for us to handle.
        separation: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            separation = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        command, environment = interpreter.start("-I", str(Path(__file__).with_name("engine.py")))
        # OpenMP's threads spin where they wait for each other. Beside a busy process, one of them
        # waits for a core while the others spin: two threads then take longer than one.
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        engine = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # llama.cpp prints a lot while it loads
            text=True,
            **separation,
        )
        assert engine.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which its missing answer shows
            engine.stdin.write(json.dumps(self._order()) + "\n")
            engine.stdin.flush()
        return engine

    def _order(self) -> dict[str, Any]:
        """Return what the engine is to load, and how."""
        layers = self._settings.gpu_layers
        return {
            "model": self.place,
            "key": self._key,
            "threads": self._threads(),
            "gpu_layers": None if layers == "auto" else int(layers),
            "window": WINDOW,
            "states": f"{self._states.folder}{os.sep}" if self._states else "",
        }

    def _digest(self) -> str:
        # Hashing gigabytes would take longer than the answer: size and time stand for the content.
        stat = self._file.stat()
        return digest(self.place, stat.st_size, stat.st_mtime_ns, WINDOW, _version())

    def _threads(self) -> int:
        return self._settings.threads or count_cores()


def _version() -> str:
    from importlib.metadata import version

    return f"xllamacpp {version('xllamacpp')}"


def _first_line(engine: subprocess.Popen[str], deadline: Deadline) -> str:
    """Return what the engine answers; empty if it ends, or is killed at the deadline."""
    assert engine.stdout is not None
    killer = threading.Timer(max(deadline.remaining(), 0.0), engine.kill)
    killer.daemon = True
    killer.start()
    try:
        return engine.stdout.readline()
    except OSError:
        return ""
    finally:
        killer.cancel()


def follows_instructions(file: Path) -> bool:
    """Return whether a GGUF file says that it was tuned to instructions and has a chat template.

    Base models often contain the template of their instruct model.
    """
    texts = read_texts(file, _INSTRUCT_KEYS)
    names = (texts.get("general.finetune", ""), texts.get("general.name", ""))
    has_template = bool(texts.get("tokenizer.chat_template"))
    return has_template and any(is_instruct_name(name) for name in names)


def model_file(settings: Settings) -> Path:
    """Return the GGUF file that `settings.model` names; an extra's model is joined if needed.

    A model of the hub must have been pulled: nothing is downloaded here.
    """
    packaged = PACKAGED_MODELS.get(settings.model)
    if packaged:
        return assemble(packaged, cache_folder(settings))
    hub_model = HUB_MODELS.get(settings.model)
    if hub_model:
        return pulled_file(hub_model, cache_folder(settings))
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
            f"{source}: the embedded backend needs a .gguf file, coder, demo or a pulled model, "
            f"not {settings.model!r}.",
            "Set model to the path of a .gguf file, or to coder after "
            "`pip install 'pytest-starcoder[coder]'`; `starcoder models` lists what can be pulled.",
        )
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise MissingModel(
            f"{source}: the model file {path} cannot be read ({exc.strerror}).", _SET_MODEL
        ) from exc
    if magic != b"GGUF":
        raise MissingModel(f"{source}: {path} is not a GGUF file.", _SET_MODEL)
    return path
