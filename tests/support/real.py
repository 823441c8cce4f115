"""Real servers: llama.cpp from the extra `embedded`, and Ollama if it is installed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends.embedded import Embedded
from pytest_starcoder.settings import Settings


@dataclass(frozen=True)
class RealServer:
    url: str
    key: str


@contextlib.contextmanager
def running_llamacpp(model: Path) -> Iterator[RealServer]:
    """Run a real llama.cpp server: the embedded engine's child process."""
    engine = Embedded(Settings(backend="embedded", model=str(model), threads=1))
    try:
        url = engine._start(Deadline.after(60))
        yield RealServer(url, engine._key)
    finally:
        engine.close()


@contextlib.contextmanager
def running_ollama(program: str, home: Path) -> Iterator[str]:
    """Run a real Ollama whose files are in `home`, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    environment = {
        **os.environ,
        "HOME": str(home),
        "OLLAMA_HOST": address,
        "OLLAMA_MODELS": str(home / "models"),
    }
    with (home / "log").open("w") as log:
        server = subprocess.Popen([program, "serve"], env=environment, stdout=log, stderr=log)
    try:
        for _ in range(400):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"http://{address}/api/version", timeout=2)
                break
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(10)


def create_in_ollama(url: str, name: str, model: Path, template: str = "") -> str:
    """Upload a GGUF file to a real Ollama as the model `name`, with a template of messages."""
    content = model.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    requests.post(f"{url}/api/blobs/{digest}", data=content, timeout=30).raise_for_status()
    body = {"model": name, "files": {"model.gguf": digest}, "stream": False}
    if template:
        body["template"] = template
    requests.post(f"{url}/api/create", json=body, timeout=60).raise_for_status()
    return name
